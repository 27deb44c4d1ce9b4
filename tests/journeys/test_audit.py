"""Data that would make results untrue are refused before anything is trained, unless that is asked for by name."""

import json
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import SimpleITK as itk
import yaml

from delineate.cli import main
from delineate.data import load_cases
from delineate.recipe import load_recipe
from delineate.verbs._facts import data_hash


@pytest.fixture
def recipe(tiny_recipe, tmp_path):
    """The tiny recipe on twelve photographs of the phantom, written to disk with a split."""
    from delineate.files import write_image, write_mask

    cases = [c for part in load_cases(load_recipe(tiny_recipe)).values() for c in part][:12]
    home = tmp_path / "data"
    rows = ["id,split"]
    for i, case in enumerate(cases):
        write_image(case.image, home / "images" / f"{i:02}.png")
        write_mask(case.truth, home / "masks" / f"{i:02}.png")
        rows.append(f"{i:02},{'train' if i < 6 else 'val' if i < 9 else 'test'}")
    (home / "table.csv").write_text("\n".join(rows) + "\n")
    tree = yaml.safe_load(tiny_recipe.read_text())
    folder = {"root": str(home), "images": "images/*", "masks": "masks/*", "table": "table.csv"}
    tree["data"] = {"folder": folder}
    tree["trainer"] |= {"epochs": 1}
    path = tmp_path / "leaky.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


def plant_a_leak(recipe):
    """One photograph of the training part, saved again as JPEG, takes the place of one of the test part."""
    home = recipe.parent / "data"
    picture = cv2.imread(str(home / "images" / "02.png"))
    again = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], 1)
    cv2.imwrite(str(home / "images" / "10.png"), again)
    shutil.copy(home / "masks" / "02.png", home / "masks" / "10.png")


def test_clean_data_pass_and_leave_a_page_and_a_table(recipe, tmp_path, capsys):
    out = tmp_path / "audit"
    assert main(["check", str(recipe), "-o", str(out)]) == 0
    assert {p.name for p in out.iterdir()} >= {"audit.html", "audit.json", "cases.csv"}
    assert "refused" not in capsys.readouterr().err


@pytest.fixture
def image_level(recipe):
    """The recipe with a column that says which image shows a polyp, in place of masks."""
    home = recipe.parent / "data"
    splits = (home / "table.csv").read_text().splitlines()[1:]
    rows = [
        f"{row},{'yes' if cv2.imread(str(home / 'masks' / f'{row[:2]}.png'), 0).any() else 'no'}"
        for row in splits
    ]
    (home / "table.csv").write_text("\n".join(["id,split,seen", *rows]) + "\n")
    tree = yaml.safe_load(recipe.read_text())
    del tree["data"]["folder"]["masks"]
    tree["data"]["folder"]["present"] = {"polyp": "seen"}
    recipe.write_text(yaml.safe_dump(tree, sort_keys=False))
    return recipe


def test_a_task_that_learns_from_masks_is_refused_image_level_labels(image_level, tmp_path, capsys):
    out = tmp_path / "audit"
    assert main(["check", str(image_level), "-o", str(out)]) != 0
    said = capsys.readouterr().err
    assert "task_needs_masks: 12 cases without a mask" in said
    assert "(00, 01, 02 and 9 more)" in said
    assert main(["train", str(image_level), "--run", str(tmp_path / "run")]) != 0
    assert "task_needs_masks" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_image_level_labels_are_enough_for_a_task_that_learns_from_them(
    image_level, tmp_path, capsys
):
    out = tmp_path / "audit"
    tree = yaml.safe_load(image_level.read_text())
    tree |= {
        "task": "presence",
        "loss": "bce",
        "metrics": ["image_auroc"],
        "model": {"classifier": {"encoder": "resnet10t", "pretrained": None}},
    }
    image_level.write_text(yaml.safe_dump(tree, sort_keys=False))
    assert main(["check", str(image_level), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "6 with image-level labels only" in said
    assert "image_level_labels_only: 12 cases" in said
    assert "Image-level labels only" in (out / "audit.html").read_text()
    table = (out / "cases.csv").read_text()
    assert "polyp shown" in table
    assert "polyp objects" not in table


def test_the_hash_of_the_data_covers_image_level_labels(image_level):
    def hashed():
        return data_hash(load_cases(load_recipe(image_level)))

    before = hashed()
    assert hashed() == before
    table = image_level.parent / "data" / "table.csv"
    text = table.read_text()
    table.write_text(text.replace("yes", "no", 1))
    assert hashed() != before


def test_without_a_cache_the_audit_says_so_and_goes_on(recipe, tmp_path, capsys, monkeypatch):
    (tmp_path / "cache").write_text("a file, so that no folder can be made")
    monkeypatch.setenv("DELINEATE_CACHE", str(tmp_path / "cache"))
    words = ["--set", "trainer.cache=false"]
    assert main(["train", str(recipe), "-o", str(tmp_path / "run"), *words]) == 0
    said = capsys.readouterr().err
    assert said.count(f"the cache at {tmp_path / 'cache' / 'audit'} cannot be written") == 1
    assert main(["train", str(recipe), "-o", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert f"delineate: the cache at {tmp_path / 'cache'} cannot be written" in said
    assert not (tmp_path / "other").exists()


def test_a_damaged_entry_of_the_cache_is_made_again(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DELINEATE_CACHE", str(tmp_path / "cache"))
    check = ["check", str(recipe), "-o", str(tmp_path / "audit")]
    assert main(check) == 0
    entries = sorted((tmp_path / "cache" / "audit").glob("*.json"))
    whole = [entry.read_bytes() for entry in entries]
    for kept, entry in enumerate(entries):
        entry.write_bytes(entry.read_bytes()[: kept * 50])
    assert main(check) == 0
    assert [entry.read_bytes() for entry in entries] == whole


KILL_WHILE_WRITING = """
import os, signal, sys
from delineate.audit import Audit
from delineate.cli import main

Audit.save_csv = lambda self, path: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("before", [False, True])
def test_a_killed_check_does_not_block_the_next(recipe, tmp_path, before):
    words = ["check", str(recipe), "-o", str(tmp_path / "deep" / "audit")]
    if before:
        assert main(words) == 0
    died = subprocess.run([sys.executable, "-c", KILL_WHILE_WRITING, *words], check=False)
    assert died.returncode == -signal.SIGKILL
    assert main(words) == 0
    left = {p.name for p in (tmp_path / "deep").rglob("*")}
    assert left == {"audit", "audit.html", "audit.json", "cases.csv"}
    assert not list(tmp_path.glob(".delineate-*"))


def test_a_planted_leak_is_refused_by_check_and_by_train(recipe, tmp_path, capsys):
    plant_a_leak(recipe)
    assert main(["check", str(recipe), "-o", str(tmp_path / "audit")]) == 2
    said = capsys.readouterr().err
    assert "02" in said
    assert "10" in said
    run = tmp_path / "run"
    assert main(["train", str(recipe), "-o", str(run)]) == 2
    said = capsys.readouterr().err
    assert "duplicates_across_splits" in said
    assert "audit.allow" in said
    assert not (run / "bundle").exists()


def test_an_override_has_a_name_and_stays_on_the_card(recipe, tmp_path, capsys):
    plant_a_leak(recipe)
    run = tmp_path / "run"
    allow = "audit.allow=[near_duplicates_across_splits]"
    assert main(["train", str(recipe), "-o", str(run), "--set", allow]) == 0
    card = json.loads((run / "bundle" / "card.json").read_text())
    assert card["audit"]["allowed"] == ["near_duplicates_across_splits"]
    assert any(f["check"] == "near_duplicates_across_splits" for f in card["audit"]["findings"])
    assert "near_duplicates_across_splits" in (run / "recipe.yaml").read_text()
    assert main(["check", str(recipe), "--set", "audit.allow=[leeks]"]) == 2
    assert "leeks" in capsys.readouterr().err


def test_pairs_that_do_not_lie_on_one_grid_are_all_named(recipe, capsys, tmp_path):
    home = recipe.parent / "data"
    for name in ("03", "07"):
        cv2.imwrite(str(home / "masks" / f"{name}.png"), np.zeros((10, 12), np.uint8))
    assert main(["check", str(recipe), "-o", str(tmp_path / "audit")]) == 2
    said = capsys.readouterr().err
    assert "03" in said
    assert "07" in said


def test_masks_that_lie_elsewhere_are_used_only_if_allowed_by_name(tmp_path, tiny_recipe, capsys):
    from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
    from delineate.files import write_image, write_mask

    labels = LabelSet((Label("organ", 1),))
    rng = np.random.default_rng(0)
    there, elsewhere = (np.array([[-1.0, 0, 0, x], [0, -1, 0, 0], [0, 0, 2, 0]]) for x in (0, 30))
    for i in range(6):
        classes = np.zeros((12, 12, 8), np.uint8)
        classes[2 + i % 3 : 9, 3:9, 2:6] = 1
        pixels = (classes * 80 + rng.integers(0, 99, classes.shape))[None].astype(np.int16)
        place = elsewhere if i == 2 else there
        grids = [
            Geometry.in_patient(classes.shape, np.vstack([a, [0, 0, 0, 1]])) for a in (there, place)
        ]
        write_image(Image(pixels, grids[0]), tmp_path / "images" / f"{i}.nii.gz")
        write_mask(Segmentation(classes, labels, grids[1]), tmp_path / "masks" / f"{i}.nii.gz")
    tree = yaml.safe_load(tiny_recipe.read_text())
    folder = {"root": str(tmp_path), "images": "images/*", "masks": "masks/*"}
    tree |= {"labels": {"organ": 1}, "prepare": [{"standardize": "image"}], "augment": []}
    tree["data"] = {"folder": folder | {"split": {"train": 0.5, "test": 0.5}}}
    tree["trainer"] |= {"epochs": 1, "monitor": "val/loss"}
    path = tmp_path / "moved.yaml"
    path.write_text(yaml.safe_dump(tree))
    run = tmp_path / "run"
    assert main(["train", str(path), "-o", str(run)]) == 2
    assert "position in the patient, by up to 30 mm" in capsys.readouterr().err
    allow = ["--set", "audit.allow=[misplaced]"]
    assert main(["train", str(path), "-o", str(run), *allow]) == 0
    assert json.loads((run / "bundle" / "card.json").read_text())["audit"]["allowed"] == [
        "misplaced"
    ]


@pytest.fixture
def volumes(tmp_path, tiny_recipe):
    """A recipe of twenty volumes, each in a folder of its own; all headers are equal, the samples lie beside them."""
    rng = np.random.default_rng(0)
    for i in range(20):
        home = tmp_path / f"{i:02}"
        home.mkdir()
        mask = np.zeros((16, 16, 16), np.uint8)
        mask[4 : 8 + i % 4, 3:12, 5 : 7 + i // 4] = 1
        pixels = (300 * (mask > 0) + rng.integers(0, 200, mask.shape)).astype(np.int16)
        for name, array in (("image", pixels), ("mask", mask)):
            itk.WriteImage(itk.GetImageFromArray(array), home / f"{name}.mhd", False)
    tree = yaml.safe_load(tiny_recipe.read_text())
    given = {"root": str(tmp_path), "images": "{stem}/image.mhd", "masks": "{stem}/mask.mhd"}
    tree |= {"labels": {"organ": 1}, "prepare": [{"standardize": "image"}], "augment": []}
    tree["data"] = {"folder": given | {"split": {"train": 0.5, "val": 0.2, "test": 0.3}}}
    path = tmp_path / "volumes.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_volumes_with_equal_headers_are_told_apart_by_their_data_files(volumes, tmp_path, capsys):
    check = ["check", str(volumes), "-o", str(tmp_path / "audit")]
    assert main(check) == 0, capsys.readouterr().err
    shutil.copy(tmp_path / "03" / "image.raw", tmp_path / "11" / "image.raw")
    assert main(check) == 2
    assert "03 = 11" in capsys.readouterr().err


def test_a_data_file_cut_short_after_a_check_is_refused(volumes, tmp_path, capsys):
    check = ["check", str(volumes), "-o", str(tmp_path / "audit")]
    assert main(check) == 0
    whole = (tmp_path / "07" / "image.raw").read_bytes()
    (tmp_path / "07" / "image.raw").write_bytes(whole[: len(whole) // 2])
    assert main(check) == 2
    assert "07/image.mhd" in capsys.readouterr().err


def test_the_hash_of_the_data_covers_the_data_files(volumes, tmp_path):
    from delineate.data import load_cases
    from delineate.recipe import load_recipe
    from delineate.verbs._facts import data_hash, files_hash

    def hashes():
        return data_hash(load_cases(load_recipe(volumes))), files_hash([tmp_path / "02/mask.mhd"])

    before = hashes()
    assert hashes() == before
    data = tmp_path / "02" / "mask.raw"
    data.write_bytes(bytes(data.stat().st_size))
    assert all(now != then for now, then in zip(hashes(), before, strict=True))
