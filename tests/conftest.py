"""What every test may use."""

import importlib
import inspect
import os
import sys
from itertools import product
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
from hypothesis import settings
from pydantic import TypeAdapter, ValidationError

from delineate.resolve import CATALOGUES, hints_of

settings.register_profile("same", derandomize=True)  # what fails for one fails for all
settings.load_profile("same")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small arrays: threads cost more than they bring


@pytest.fixture(autouse=True, scope="session")
def _quiet_machine(tmp_path_factory):
    """Tests neither read nor fill the user's cache, and leave the network alone."""
    os.environ["DELINEATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, where there is one."""
    folder = os.environ.get("DELINEATE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("the real images are not here: DELINEATE_DATA names no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def write_series():
    """Write a volume (slice, row, column) of int16 as the files of a DICOM series, CT by default."""
    pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    def write(
        folder,
        volume,
        *,
        spacing=(2.0, 1.0, 1.0),
        origin=(0.0, 0.0, 0.0),
        orientation=(1, 0, 0, 0, 1, 0),
        uid="1.2.3",
        name="{:03}.dcm",
        **attributes,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        normal = np.cross(orientation[:3], orientation[3:])
        for index, pixels in enumerate(volume):
            slice_ = Dataset()
            slice_.file_meta = FileMetaDataset()
            slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            slice_.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            slice_.SOPInstanceUID, slice_.InstanceNumber = f"{uid}.{index + 1}", index + 1
            slice_.Modality, slice_.PatientID, slice_.SeriesInstanceUID = "CT", "P1", uid
            slice_.ImageOrientationPatient = list(orientation)
            position = np.asarray(origin) + index * spacing[0] * normal
            slice_.ImagePositionPatient = [f"{x:.12g}"[:16] for x in position]
            slice_.PixelSpacing, slice_.SliceThickness = list(spacing[1:]), spacing[0]
            slice_.RescaleSlope, slice_.RescaleIntercept = 1, 0
            for keyword, value in attributes.items():
                if value is None:
                    delattr(slice_, keyword)
                else:
                    setattr(slice_, keyword, value)
            slice_.set_pixel_data(np.ascontiguousarray(pixels, np.int16), "MONOCHROME2", 16)
            slice_.save_as(folder / name.format(index), enforce_file_format=True)
        return folder

    return write


# ---- contracts: what every file of a folder keeps, whoever wrote it
#
# A module of contract tests has a mark `every`, which parametrizes `name` over the catalogue. A test with that mark
# holds for any file; nothing in it knows a name.


@pytest.fixture(scope="session")
def needed():
    """Arguments for what a function needs and the program does not give, made up from their types."""

    def examples(function, given=(), ndim=2):
        hints = hints_of(function)
        return {
            name: _example(hints[name], ndim)
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is parameter.empty and name not in given
        }

    return examples


def _example(hint, ndim):
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    tried = (4, 0.5, 5, [12] * ndim, [4], [0.2, 0.4], True, "x", {}, [], [*range(ndim)], ["x"])
    for value in tried:
        try:
            TypeAdapter(hint).validate_python(value)
        except ValidationError:
            continue
        return value
    raise TypeError(f"no example of {hint}; give the argument a default.")


@pytest.fixture
def add_file(tmp_path, monkeypatch):
    """Put one more file into a folder of the program, for as long as the test lasts."""

    def add(home, name, text):
        home = CATALOGUES.get(home, home)
        package = importlib.import_module(home)
        folder = tmp_path / "added" / home
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(text)
        if str(folder) not in package.__path__:
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, f"{home}.{name}", raising=False)

    return add


@pytest.fixture
def broken(request, tmp_path):
    """The first contract test of the module at hand that a file does not pass, with what it said; or None."""

    def failures(name):
        module = request.module
        for test, function in list(vars(module).items()):
            marks = getattr(function, "pytestmark", []) if test.startswith("test_") else []
            if not any(mark is module.every.mark for mark in marks):
                continue
            for i, arguments in enumerate(_parametrized(marks, {"name": name})):
                given = dict(arguments)
                for argument in set(inspect.signature(function).parameters) - set(given):
                    if argument == "tmp_path":
                        given[argument] = tmp_path / f"{name}-{test}-{i}"
                        given[argument].mkdir()
                    else:
                        given[argument] = request.getfixturevalue(argument)
                try:
                    with pytest.MonkeyPatch.context() as patch:  # undone before the next test
                        if "monkeypatch" in given:
                            given["monkeypatch"] = patch
                        function(**given)
                except pytest.skip.Exception:
                    continue
                except (Exception, pytest.fail.Exception) as error:
                    return f"{test}: {error}"
        return None

    return failures


def _parametrized(marks, known):
    """Every choice of the arguments that marks parametrize, but for those that are known."""
    axes = []
    for mark in marks:
        names = mark.args[0]
        names = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
        if names == list(known):
            continue
        values = [getattr(value, "values", value) for value in mark.args[1]]
        axes.append(
            [
                dict(zip(names, value if len(names) > 1 else _alone(value), strict=True))
                for value in values
            ]
        )
    for choice in product(*axes):
        yield known | {name: value for part in choice for name, value in part.items()}


def _alone(value):
    return (value,)
