"""From a bundle and photographs to masks."""

import csv
import json
import os
import re
import shutil
import sys
import time

import cv2
import nibabel
import numpy as np
import pytest

from delineate import cases_of, load_bundle, load_cases, load_recipe, read_mask, verbs
from delineate.bundle import open_bundle
from delineate.cli import main
from delineate.files import write_image


@pytest.fixture
def photos(tiny_recipe, tmp_path):
    folder = tmp_path / "photos"
    for case in load_cases(load_recipe(tiny_recipe))["test"][:2]:
        write_image(case.image, folder / "deep" / f"{case.id}.png")
    picture = np.full((41, 57, 3), 120, np.uint8)
    cv2.imwrite(str(folder / "odd size.jpg"), picture)
    return folder


def test_masks_overlays_and_a_table(tiny_run, photos, tmp_path):
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out), "--probabilities"]) == 0
    masks = sorted(p.relative_to(out) for p in out.rglob("*.png"))
    assert len(masks) == 3
    assert read_mask(out / "odd size.png").geometry.shape == (41, 57)
    assert len(list((out / "overlays").rglob("*.jpg"))) == 3
    kept = np.load(out / "odd size.probabilities.npz")
    assert kept["probabilities"].shape == (2, 41, 57)
    assert kept["names"].tolist() == ["background", "polyp"]
    with open(out / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        assert (row["label"], row["unit"]) == ("polyp", "px²")
        assert (row["confidence"] == "") == (float(row["size"]) == 0)
        assert 0 <= float(row["expected_dice"]) <= 1


def test_what_is_doubtful_in_an_image_is_told_and_its_place_is_kept(tiny_run, tmp_path, capsys):
    pixels = np.full((40, 50), 7, np.float32)
    pixels[3, 4:9] = np.nan
    image = nibabel.Nifti1Image(pixels, None)
    image.set_sform(np.diag([2.0, 2, 2, 1]), 4)
    image.set_qform(np.diag([-2.0, 2, 2, 1]), 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert (
        main(["predict", str(tiny_run), str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "o")]) == 0
    )
    said = capsys.readouterr().err
    assert f"{tmp_path / 'a.nii.gz'}: 5 of 2000 samples are NaN or infinity" in said
    assert f"{tmp_path / 'a.nii.gz'}: sform and qform disagree, by up to 78 samples" in said
    mask = nibabel.load(tmp_path / "o" / "a.nii.gz")
    assert (mask.header["sform_code"], mask.header["qform_code"]) == (4, 1)
    np.testing.assert_array_equal(mask.get_sform(), image.get_sform())
    np.testing.assert_array_equal(mask.get_qform(), image.get_qform())


@pytest.fixture
def table(tmp_path):
    """The rows of the table in the folder that is predicted to, by image."""

    def rows():
        with open(tmp_path / "masks" / "predictions.csv", newline="", encoding="utf-8") as file:
            return {row["image"].rsplit("/")[-1]: row for row in csv.DictReader(file)}

    return rows


def test_what_was_done_is_said_at_the_end(tiny_run, photos, tmp_path, capsys):
    (photos / "broken.png").write_bytes(b"<html>not an image</html>")
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 2
    said = capsys.readouterr().out
    counts = r"3 of 4 images predicted, 1 failed, \d to review, 1 unlike the training images"
    assert re.search(f"^{counts}$", said, re.MULTILINE)
    assert f"masks: {out}; table: {out / 'predictions.csv'}" in said


def test_a_second_run_replaces_what_the_first_wrote(tiny_run, photos, tmp_path, table):
    words = ["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "masks")]
    assert main([*words, "--probabilities"]) == 0
    first = table()
    assert main([*words, "--probabilities"]) == 0
    assert table() == first
    assert len(first) == 3


def test_an_image_unlike_the_training_images_is_named_and_to_be_reviewed(
    tiny_run, photos, tmp_path, table, capsys
):
    dark = cv2.imread(str(next((photos / "deep").glob("*.png")))).astype(np.uint16) * 16
    cv2.imwrite(str(photos / "twelve bits.png"), dark)
    words = ["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "masks")]
    assert main(words) == 0
    said = "twelve bits.png: unlike the training images: values 0 to 4080, uint16; training images"
    assert said in capsys.readouterr().err
    unlike = {name for name, row in table().items() if row["unlike_training"]}
    assert unlike == {"twelve bits.png", "odd size.jpg"}
    assert {table()[name]["review"] for name in unlike} == {"yes"}
    assert table()["odd size.jpg"]["unlike_training"] == "one value everywhere, 120"
    by_name = {case.id: case for case in cases_of([photos])}
    found = load_bundle(tiny_run)(by_name["twelve bits"])
    assert "; ".join(found.unlike_training) == table()["twelve bits.png"]["unlike_training"]


def test_a_strict_run_writes_nothing_for_an_image_unlike_the_training_images(
    tiny_run, photos, tmp_path, table, capsys
):
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out), "--strict"]) == 2
    printed = capsys.readouterr()
    assert "odd size.jpg: unlike the training images: one value everywhere" in printed.err
    assert "2 of 3 images predicted, 1 failed" in printed.out
    assert not list(out.rglob("odd size*"))
    assert "odd size.jpg" not in table()


def test_a_bundle_that_does_not_know_its_training_images_says_so_once(
    tiny_run, photos, tmp_path, table, capsys
):
    old = shutil.copytree(tiny_run, tmp_path / "old")
    open_bundle(old).update_card(fingerprint=None)
    words = ["predict", str(old), str(photos), "-o", str(tmp_path / "masks")]
    assert main([*words, "--strict"]) == 2
    assert "leave out --strict" in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()
    assert main(words) == 0
    printed = capsys.readouterr()
    assert printed.err.count("has no fingerprint of its training images") == 1
    assert "unlike" not in printed.out
    assert {row["unlike_training"] for row in table().values()} == {""}


@pytest.mark.parametrize("name", ["odd size.png", "overlays/odd size.jpg", "predictions.csv"])
@pytest.mark.parametrize("corrected", [False, True])
def test_what_it_did_not_write_is_not_replaced(name, corrected, tiny_run, photos, tmp_path, capsys):
    theirs = tmp_path / "masks" / name
    words = ["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "masks")]
    if corrected:
        assert main(words) == 0
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_bytes(b"by a person")
    before = {path: path.read_bytes() for path in (tmp_path / "masks").rglob("*.*")}
    assert main(words) == 2
    said = capsys.readouterr().err
    why = "was changed since it was predicted" if corrected else "was not written by delineate"
    assert f"{theirs} {why}" in said
    assert "--overwrite" in said
    assert {path: path.read_bytes() for path in (tmp_path / "masks").rglob("*.*")} == before
    assert main([*words, "--overwrite"]) == 0
    assert theirs.read_bytes() != b"by a person"
    assert main(words) == 0


@pytest.mark.parametrize(
    "line", [b"\xff\xfe\x00[]", b'{"file": ["k.png"], "sha256": "1", "bundle": "2"}', b"5"]
)
def test_a_damaged_line_of_the_record_says_nothing(line, tiny_run, photos, tmp_path):
    out = tmp_path / "out"
    verbs.predict(tiny_run, [photos], out, overlays=False)
    record = out / "predictions.jsonl"
    record.write_bytes(line + b"\n" + record.read_bytes())
    assert not verbs.predict(tiny_run, [photos], out, overlays=False).failures


def test_only_the_table_may_be_on_record_as_growing(tiny_run, photos, tmp_path):
    out = tmp_path / "out"
    verbs.predict(tiny_run, [photos], out, overlays=False)
    mask = next(out.glob("*.png"))
    bundle = json.loads((out / "predictions.jsonl").read_text().splitlines()[0])["bundle"]
    with open(out / "predictions.jsonl", "a") as file:
        file.write(json.dumps({"file": mask.name, "sha256": None, "bundle": bundle}) + "\n")
    mask.write_bytes(b"corrected by hand")
    with pytest.raises(ValueError, match=f"{mask.name}.* was changed since it was predicted"):
        verbs.predict(tiny_run, [photos], out, overlays=False)


def test_masks_of_another_model_are_not_replaced(tiny_run, photos, tmp_path, capsys, sealed):
    other = shutil.copytree(tiny_run, tmp_path / "other")
    with open(other / "bundle" / "recipe.yaml", "a", encoding="utf-8") as file:
        file.write("# another\n")
    sealed(other / "bundle")
    assert main(["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "masks")]) == 0
    assert main(["predict", str(other), str(photos), "-o", str(tmp_path / "masks")]) == 2
    assert "was written by another bundle" in capsys.readouterr().err


def test_no_row_is_lost_to_interruption_or_to_another_run(
    tiny_run, photos, tmp_path, monkeypatch, table
):
    first = cases_of([photos])[0].id

    class BrokenOff:
        def __init__(self, predictor):
            self.predictor = predictor

        def __call__(self, case):
            if case.id == first:
                return self.predictor(case)
            for _ in range(1000):  # until the first is written
                if (tmp_path / "masks" / "predictions.csv").is_file() and table():
                    break
                time.sleep(0.01)
            raise KeyboardInterrupt

    verb = sys.modules["delineate.verbs.predict"]
    load = verb.load_bundle
    words = ["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "masks")]
    with monkeypatch.context() as patched:
        patched.setattr(verb, "load_bundle", lambda *a, **k: BrokenOff(load(*a, **k)))
        assert main(words) == 130
    seen = table()
    assert [row["mask"] for row in seen.values()] == [f"{first}.png"]
    assert not list((tmp_path / "masks").rglob(".delineate-*"))
    rest = str(photos / "odd size.jpg")
    assert main([*words[:2], rest, *words[3:]]) == 0
    assert table().keys() == {*seen, "odd size.jpg"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf8_costs_no_row(tiny_run, photos, tmp_path, table, capsys):
    os.rename(photos / "odd size.jpg", os.fsencode(photos) + b"/n\xe9e.jpg")
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 0
    assert table()[r"n\xe9e.jpg"]["mask"] == r"n\xe9e.png"
    assert os.path.exists(os.fsencode(out) + b"/n\xe9e.png")
    assert len(table()) == 3
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 0


def test_images_are_not_written_over(tiny_run, photos, capsys):
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    assert main(["predict", str(tiny_run), str(photos), "-o", str(photos)]) == 2
    assert "written over the image" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_one_bad_file_does_not_stop_the_rest(tiny_run, photos, tmp_path, capsys):
    (photos / "broken.png").write_bytes(b"<html>not an image</html>")
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert "broken.png" in said
    assert "1 of the images could not be predicted" in said
    assert len(list(out.rglob("*.png"))) == 3
    assert not list(out.rglob("*broken*"))


def test_evaluating_and_predicting_give_the_same_masks(tiny_run, tiny_recipe, tmp_path):
    cases = load_cases(load_recipe(tiny_recipe))["test"]
    for case in cases:
        write_image(case.image, tmp_path / "photos" / f"{case.id}.png")
    verbs.predict(tiny_run, [tmp_path / "photos"], tmp_path / "masks")
    for case in cases:
        ours = read_mask(tmp_path / "masks" / f"{case.id}.png").pixels
        theirs = read_mask(tiny_run / "predictions" / f"{case.id}.png").pixels
        assert np.array_equal(ours, theirs)


def test_windows_and_flips_by_option(tiny_run, photos, tmp_path):
    words = ["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "m"), "--no-overlays"]
    assert main([*words, "--window", "16,16", "--flips", "0,1"]) == 0
    assert not (tmp_path / "m" / "overlays").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{run}", "nowhere/", "-o", "{out}"], "nowhere"),
        (["nowhere", "{photos}", "-o", "{out}"], "no bundle there"),
        (["{run}", "{photos}", "-o", "{out}", "--device", "cuda"], "device 'cuda' was asked for"),
    ],
)
def test_bad_requests_get_one_line(words, said, tiny_run, photos, tmp_path, capsys):
    places = {"run": tiny_run, "photos": photos, "out": tmp_path / "m"}
    assert main(["predict", *(word.format(**places) for word in words)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "m").exists()


def test_a_bundle_is_opened_once(tiny_run, photos, tmp_path, monkeypatch):
    opened = []
    module = sys.modules["delineate.bundle.bundle"]
    whole = module.read_card
    monkeypatch.setattr(
        module, "read_card", lambda folder, **how: opened.append(folder) or whole(folder, **how)
    )
    verbs.predict(tiny_run, [photos], tmp_path / "masks")
    assert opened == [tiny_run / "bundle"]
    bundle = open_bundle(tiny_run)
    (case,) = cases_of([photos / "odd size.jpg"])
    ours, theirs = load_bundle(bundle)(case), load_bundle(tiny_run)(case)
    assert np.array_equal(ours.classes, theirs.classes)
    with pytest.raises(ValueError, match="given with an open bundle"):
        load_bundle(bundle, trust=("my_lab",))


def test_a_folder_in_the_place_of_a_mask_is_refused_before_anything_is_predicted(
    tiny_run, photos, tmp_path
):
    (tmp_path / "out" / "odd size.png" / "mine").mkdir(parents=True)
    with pytest.raises(
        ValueError,
        match=r"odd size.png is not a file; nothing was predicted. Give another --out\.$",
    ):
        verbs.predict(tiny_run, [photos], tmp_path / "out", overwrite=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["odd size.png"]
