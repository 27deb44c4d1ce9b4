"""A bundle in one file does what its folder does, wherever it was sent."""

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from delineate import cases_of, load_bundle, load_cases, load_recipe, read_mask
from delineate.bundle import open_bundle, pack_bundle
from delineate.cli import main
from delineate.files import write_image, write_mask


@pytest.fixture
def photos(tiny_recipe, tmp_path):
    for case in load_cases(load_recipe(tiny_recipe))["test"]:
        write_image(case.image, tmp_path / "photos" / f"{case.id}.png")
        write_mask(case.truth, tmp_path / "masks" / f"{case.id}.png")
    return tmp_path / "photos"


@pytest.fixture
def packed(tiny_run, tmp_path):
    (tmp_path / "sent").mkdir()
    file = pack_bundle(open_bundle(tiny_run), tmp_path / "sent" / "polyp.delineate")
    return shutil.move(file, tmp_path / "here.delineate")


def test_it_predicts_what_the_folder_predicts(tiny_run, packed, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 0
    before = {path.name: read_mask(path).pixels for path in out.glob("*.png")}
    assert main(["predict", str(packed), str(photos), "-o", str(out)]) == 0  # it is the same bundle
    assert before
    for name, pixels in before.items():
        assert np.array_equal(read_mask(out / name).pixels, pixels)
    words = ["predict", str(photos), str(packed), "--bundle", str(tiny_run), "-o", str(out)]
    assert main(words) == 2
    assert f"Write --bundle {packed}" in capsys.readouterr().err


def test_it_is_evaluated_and_joined_and_trained_on(
    tiny_run, tiny_recipe, packed, photos, tmp_path, capsys
):
    other = ["--images", str(photos), "--masks", str(tmp_path / "masks")]
    other += ["--allow", "duplicates_across_splits"]
    tables = []
    for name, bundle in {"a": tiny_run / "bundle", "b": packed}.items():
        assert main(["evaluate", str(bundle), *other, "-o", str(tmp_path / name)]) == 0
        tables.append((tmp_path / name / "cases.csv").read_text())
    assert tables[0] == tables[1]
    assert main(["evaluate", str(packed)]) == 2
    assert "is a bundle. It has no data of its own" in capsys.readouterr().err
    joined = tmp_path / "both.delineate"
    assert main(["ensemble", str(packed), str(tiny_run), "-o", str(joined)]) == 0
    case = cases_of([photos])[0]
    expected = load_bundle(tiny_run, keep_probabilities=True)(case)
    found = load_bundle(joined, keep_probabilities=True)(case)
    assert np.allclose(found.probabilities, expected.probabilities, atol=1e-6)
    start = ["--set", f"model.init_from={packed}", "--set", "trainer.epochs=1"]
    assert main(["train", str(tiny_recipe), *start, "-o", str(tmp_path / "run")]) == 0
    for verb in ("calibrate", "compare"):
        assert main([verb, str(packed), *[str(tiny_run)] * (verb == "compare")]) == 2


@pytest.mark.slow
def test_its_predictor_goes_to_another_process(packed, photos):
    predictor, cases = load_bundle(packed), cases_of([photos])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        (there,) = pool.map(predictor, cases[:1])
    assert np.array_equal(there.classes, predictor(cases[0]).classes)
