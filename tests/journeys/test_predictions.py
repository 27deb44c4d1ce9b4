"""One case at a time: from memory, from several threads, and in other processes."""

import csv
import json
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest

from delineate import Case, Geometry, Image, load_bundle, load_cases, load_recipe, read_mask, verbs
from delineate.bundle import open_bundle
from delineate.predictions import Outputs, PredictionFolder, predict_case


@pytest.fixture(scope="module")
def predictor(tiny_run):
    return load_bundle(tiny_run, device="cpu", keep_probabilities=True)


@pytest.fixture(scope="module")
def images(tiny_recipe):
    """Pictures of several sizes, as arrays do not care for one another's."""
    pictures = [case.image for case in load_cases(load_recipe(tiny_recipe))["train"]]
    return [
        Case.of_image(_cropped(picture, 40 + 2 * number), f"image-{number}")
        for number, picture in enumerate(pictures)
    ]


def _cropped(picture, n):
    return Image(picture.pixels[:, :n, :n], picture.geometry.cropped((0, 0), (n, n)))


def test_an_image_in_memory_is_predicted_and_written(predictor, images, tmp_path):
    folder = PredictionFolder(tmp_path / "out", "a digest")
    with folder.table():
        written = predict_case(predictor, images[3], folder, Outputs(probabilities=True))
    assert written.files == {
        "mask": "image-3.png",
        "overlay": "overlays/image-3.jpg",
        "probabilities": "image-3.probabilities.npz",
    }
    assert all((tmp_path / "out" / name).is_file() for name in written.files.values())
    found = predictor(images[3])
    np.testing.assert_array_equal(
        read_mask(tmp_path / "out" / "image-3.png").pixels[0], found.classes
    )
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {name: str(value) for name, value in written.rows[0].items()}
    assert json.loads(json.dumps(asdict(written)))["case"] == "image-3"
    assert pickle.loads(pickle.dumps(written)) == written


def test_a_scan_in_memory_is_written_as_nifti(tmp_path):
    from delineate import Label, LabelSet, Segmentation

    grid = Geometry((6, 7, 8), (1.0, 1.0, 2.0), "mm")
    labels = LabelSet((Label("liver", 1),))
    found = Segmentation(np.ones(grid.shape, np.uint8), labels, grid)
    case = Case.of_image(Image(np.zeros((1, *grid.shape), np.int16), grid), "scan")
    folder = PredictionFolder(tmp_path, "a digest")
    written = predict_case(lambda case: found, case, folder)
    assert written.files["mask"] == "scan.nii.gz"
    assert written.rows[0]["size"] == f"{found.classes.size * 2}"
    with pytest.raises(ValueError, match="scan: probabilities are to be written, but"):
        predict_case(lambda case: found, case, folder, Outputs(probabilities=True))


@pytest.mark.parametrize(
    ("grid", "size", "ml"),
    [
        (Geometry((10, 20, 30), (1.0, 2.0, 2.5), "mm"), ("30000", "mm³"), "30"),
        (Geometry((10, 20, 30), (1.0, 1.0, 1.0)), ("6000", "px³"), ""),
        (Geometry((20, 30), (2.0, 2.0), "mm"), ("2400", "mm²"), ""),
    ],
)
def test_the_volume_of_a_scan_is_also_given_in_millilitres(grid, size, ml, tmp_path):
    from delineate import Label, LabelSet, Segmentation

    labels = LabelSet((Label("liver", 1), Label("spleen", 2)))
    found = Segmentation(np.ones(grid.shape, np.uint8), labels, grid)
    case = Case.of_image(Image(np.zeros((1, *grid.shape), np.int16), grid), "scan")
    folder = PredictionFolder(tmp_path, "a digest")
    with folder.table():
        liver, spleen = predict_case(lambda case: found, case, folder).rows
    assert (liver["size"], liver["unit"], liver["ml"]) == (*size, ml)
    assert spleen["ml"] == ("0" if ml else "")


def test_nothing_is_drawn_of_a_task_that_outlines_nothing(tmp_path):
    from delineate import Label, LabelSet
    from delineate.core import Probabilities
    from delineate.tasks.presence import presence

    labels = LabelSet((Label("device", 1), Label("marker", 2)))
    grid = Geometry.in_pixels((5, 6))
    found = presence(labels).decide(Probabilities(image={"device": 0.9, "marker": 0.2}), grid)
    folder = PredictionFolder(tmp_path, "a digest")
    with folder.table():
        for name in "ab":
            case = Case.of_image(Image(np.zeros((1, 5, 6), np.uint8), grid), name)
            assert predict_case(lambda case: found, case, folder).files == {}
    with open(tmp_path / "predictions.csv", newline="") as file:
        rows = [(r["image"], r["label"], r["shows"], r["presence"]) for r in csv.DictReader(file)]
    per_image = [("device", "yes", "0.9000"), ("marker", "no", "0.2000")]
    assert rows == [(image, *rest) for image in "ab" for rest in per_image]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "predictions.csv",
        "predictions.jsonl",
    ]


def test_the_verb_takes_images_in_memory_beside_files(tiny_run, images, tmp_path):
    said = verbs.predict(tiny_run, images[:2], tmp_path / "out", overlays=False)
    assert not said.failures
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "image-0.png",
        "image-1.png",
    }
    with pytest.raises(ValueError, match="2 images would be written to"):
        verbs.predict(tiny_run, [images[0], images[0]], tmp_path / "twice")


def test_what_is_doubtful_in_an_image_stays_with_the_error(images, tmp_path):
    def fails(case):
        raise ValueError("no")

    image = replace(images[0].image, warnings=("5 samples are odd",))
    with pytest.raises(ValueError, match="no") as failed:
        predict_case(fails, Case.of_image(image), PredictionFolder(tmp_path, "a digest"))
    assert failed.value.__notes__ == ["5 samples are odd"]
    assert not list(tmp_path.iterdir())


def test_threads_give_what_one_gives(tiny_run, images, tmp_path):
    predictor = load_bundle(tiny_run, device="cpu", keep_probabilities=True)
    many = [
        replace(case, id=f"{case.id}-{turn}", group=case.id) for turn in range(6) for case in images
    ]
    serial = {case.id: predictor(case) for case in images}
    folder = PredictionFolder(tmp_path / "out", "a digest")
    with folder.table(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predictor, many))
        written = list(pool.map(lambda case: predict_case(predictor, case, folder), many))
    for case, segmentation in zip(many, found, strict=True):
        one = serial[case.group]
        np.testing.assert_array_equal(segmentation.classes, one.classes)
        np.testing.assert_array_equal(segmentation.probabilities, one.probabilities)
        assert segmentation.scores == one.scores
    assert len({record.case for record in written}) == len(many)
    with open(tmp_path / "out" / "predictions.csv", newline="") as file:
        assert sorted(row["image"] for row in csv.DictReader(file)) == sorted(c.id for c in many)
    lines = [
        json.loads(line)
        for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    ]
    assert sum("file" in line for line in lines) == 2 * len(many) + 2  # the table twice
    assert sorted(line["case"] for line in lines if "case" in line) == sorted(c.id for c in many)


def test_threads_resize_and_restore_as_one_does():
    from delineate.prepare import load_prepare
    from delineate.resolve import Call

    prepare = load_prepare(
        [Call("resize", {"shape": [96, 96]}), Call("standardize", {"by": "imagenet"})]
    )
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (300 + i, 310, 3), np.uint8) for i in range(40)]
    taken = [Image(np.moveaxis(p, -1, 0), Geometry.in_pixels(p.shape[:2])) for p in pictures]
    expected = [prepare(image)[0] for image in taken]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(prepare, taken * 3), strict=False):
            np.testing.assert_array_equal(one, other[0])


def _classes(predictor, case):
    return predictor(case).classes


@pytest.mark.slow
def test_another_process_loads_the_bundle_again(tiny_run, images):
    predictor = load_bundle(tiny_run, device="cpu", flips=(0,))
    expected = [predictor(case).classes for case in images[:3]]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        for one, other in zip(
            expected, pool.map(partial(_classes, predictor), images[:3]), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    with spawn.Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(_classes, (predictor, images[0])), expected[0])


def test_a_pickled_predictor_is_a_reference_to_its_bundle(
    tiny_run, images, tmp_path, monkeypatch, sealed
):
    bundle = shutil.copytree(tiny_run / "bundle", tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    predictor = load_bundle("b", device="cpu", keep_probabilities=True, flips=(1,))
    sent = pickle.dumps(predictor)
    assert (bundle / "weights.safetensors").read_bytes()[-100:] not in sent
    monkeypatch.chdir("/")
    again = pickle.loads(sent)
    found, expected = again(images[0]), predictor(images[0])
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert pickle.dumps(again)
    with pytest.raises(TypeError, match="built in memory and cannot be pickled"):
        pickle.dumps(replace(predictor, temperature=2.0))
    with open(bundle / "recipe.yaml", "a") as file:
        file.write("# another\n")
    sealed(bundle)
    with pytest.raises(ValueError, match="was changed or removed since the predictor was loaded"):
        pickle.loads(sent)
    shutil.rmtree(bundle)
    with pytest.raises(ValueError, match="was changed or removed since the predictor was loaded"):
        pickle.loads(sent)


def test_the_digest_of_a_bundle_is_of_recipe_and_weights(tiny_run):
    bundle = open_bundle(tiny_run)
    assert bundle.digest == open_bundle(tiny_run / "bundle").digest
    assert len(bundle.digest) == 64
