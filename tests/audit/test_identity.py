"""Fields that may name somebody are told, and what they hold is not, anywhere."""

import json
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image, PngImagePlugin

from delineate.audit import audit
from delineate.audit._identity import identity, patient
from delineate.core import Case
from delineate.files import read_image
from delineate.report.write_audit import write_audit

CANARY = "ZZPHI^CANARY"
PIXELS = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)


def png(path: Path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", CANARY)
    texts.add_text(CANARY, "a keyword can be a name")
    texts.add_text("Software", "nothing to see")
    Image.fromarray((PIXELS % 251).astype(np.uint8)).save(path, pnginfo=texts)


def jpeg(path: Path):
    exif = Image.Exif()
    exif[315] = CANARY
    exif.get_ifd(34853)[1] = "N"
    Image.fromarray((PIXELS % 241).astype(np.uint8)).save(path, exif=exif, comment=CANARY.encode())


def nifti(path: Path):
    image = nibabel.Nifti1Image(PIXELS[..., None].repeat(4, 2).astype(np.int16), np.eye(4))
    image.header["descrip"] = CANARY
    image.header["db_name"] = CANARY
    nibabel.save(image, path)


def nrrd(path: Path):
    image = SimpleITK.GetImageFromArray((PIXELS % 233).astype(np.int16))
    image.SetMetaData("PatientName", CANARY)
    SimpleITK.WriteImage(image, str(path))


def dicom(path: Path, name=CANARY):
    image = SimpleITK.GetImageFromArray((PIXELS % 239).astype(np.int16)[None])
    for tag, value in {
        "0010|0010": name,
        "0010|0020": name,
        "0028|0301": "YES",
        "0008|0060": "US",
    }.items():
        image.SetMetaData(tag, value)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


FILES = {
    "a.png": (png, ("PNG Author", "another PNG text")),
    "b.jpg": (jpeg, ("EXIF Artist", "EXIF GPS position", "comment")),
    "c.nii.gz": (nifti, ("NIfTI descrip", "NIfTI db_name")),
    "d.nrrd": (nrrd, ("NRRD text",)),
    "e.dcm": (dicom, ("PatientName", "PatientID")),
}


@pytest.mark.parametrize("name", FILES)
def test_the_names_of_fields_are_told(name, tmp_path):
    write, fields = FILES[name]
    write(tmp_path / name)
    found = identity(tmp_path / name)
    assert set(fields) <= set(found.fields)
    assert "Software" not in str(found)
    assert (found.burned_in, found.modality) == (("YES", "US") if name == "e.dcm" else ("", ""))


def test_the_canary_is_nowhere(tmp_path, labels, capfd):
    for name, (write, _) in FILES.items():
        write(tmp_path / name)
    cases = tuple(
        Case(f"case {i}", "g", partial(read_image, tmp_path / name), files=(tmp_path / name,))
        for i, name in enumerate(FILES)
    )
    out = tmp_path / "out"
    found = audit({"train": cases}, labels, cache=out / "cache", progress=False)
    found.save_csv(out / "cases.csv")
    (out / "audit.json").write_text(json.dumps(found.as_json()))
    write_audit(out / "audit.html", title="t", audit=found, splits={"train": cases}, labels=labels)
    assert len(next(f for f in found.findings if f.check == "identity_fields").cases) == len(FILES)
    files = [file for file in out.rglob("*") if file.is_file()]
    assert len(files) >= 6
    kept = "".join(file.read_text("utf-8") for file in files)
    said = "".join([*capfd.readouterr(), repr(found), repr(found.cases), *found.lines()])
    for word in ("ZZPHI", "CANARY"):
        assert word not in kept
        assert word not in said


def test_patients_are_told_apart_by_a_digest_of_this_run(tmp_path):
    for name, who in {"a.dcm": "1", "b.dcm": "1", "c.dcm": "2"}.items():
        dicom(tmp_path / name, who)
    same, again, other = (
        patient(tmp_path / name, b"secret") for name in ("a.dcm", "b.dcm", "c.dcm")
    )
    assert same == again != other
    assert patient(tmp_path / "a.dcm", b"another secret") != same
    png(tmp_path / "d.png")
    assert patient(tmp_path / "d.png", b"secret") == ""


def test_files_without_names_and_files_that_are_none_say_nothing(tmp_path):
    Image.fromarray((PIXELS % 251).astype(np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (tmp_path / "half.dcm").write_bytes(bytes(128) + b"DICM")
    for name in ("plain.png", "cut.nii.gz", "half.dcm"):
        assert identity(tmp_path / name).fields == ()
