"""The data of a run are found from wherever the run is opened later."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml

from delineate import verbs
from delineate.cli import main


@pytest.fixture
def places(tiny_recipe, tmp_path, monkeypatch):
    """A recipe in folder A whose data, table and split lie beside it, a folder B to start in, and a folder D."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "A" / "data" / part).mkdir(parents=True)
    rows = ["id,split,site"]
    for i in range(12):
        mask = np.zeros((40, 48), np.uint8)
        mask[5 + i : 15 + i, 5 + i : 15 + i] = 1
        cv2.imwrite(str(tmp_path / f"A/data/masks/{i}.png"), mask)
        pixels = rng.integers(0, 255, (40, 48, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"A/data/images/{i}.png"), pixels)
        rows.append(f"{i},{('train', 'train', 'val', 'test')[i % 4]},{'ab'[i % 2]}")
    (tmp_path / "A" / "cases.csv").write_text("\n".join(rows))
    tree = yaml.safe_load(tiny_recipe.read_text())
    paths = {"root": "data", "table": "cases.csv", "split": "cases.csv"}
    tree["data"] = {"folder": {**paths, "images": "images/*", "masks": "masks/*"}}
    (tmp_path / "A" / "r.yaml").write_text(yaml.safe_dump(tree))
    for name in "BD":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "B")
    return tmp_path


def test_a_run_is_opened_from_another_folder(places, monkeypatch):
    assert main(["train", "../A/r.yaml", "-o", "../C", "--set", "trainer.epochs=1"]) == 0
    text = (places / "C" / "recipe.yaml").read_text()
    assert str(places) not in text + (places / "C" / "bundle" / "recipe.yaml").read_text()
    before = (places / "C" / "cases.csv").read_text()
    monkeypatch.chdir(places / "D")
    assert main(["evaluate", "../C"]) == 0
    assert (places / "C" / "cases.csv").read_text() == before
    verbs.evaluate(places / "C", split="val")
    verbs.calibrate(places / "C")
    (places / "C" / "checkpoints" / "last.ckpt").unlink()  # as if nothing had been trained yet
    (places / "C" / "metrics.csv").unlink()
    assert main(["train", "--resume", "../C"]) == 0


def test_paths_relative_to_where_training_was_started(places, monkeypatch):
    shutil.move(places / "A" / "data", places / "B" / "data")
    shutil.move(places / "A" / "cases.csv", places / "B" / "cases.csv")
    assert main(["train", "../A/r.yaml", "-o", "../C", "--set", "trainer.epochs=1"]) == 0
    monkeypatch.chdir(places / "D")
    assert main(["evaluate", "../C"]) == 0
    shutil.rmtree(places / "A")  # the recipe itself is not needed any more
    assert main(["evaluate", "../C"]) == 0


def test_data_that_were_moved_are_asked_for_and_found(places, monkeypatch, capsys):
    assert main(["train", "../A/r.yaml", "-o", "../C", "--set", "trainer.epochs=1"]) == 0
    shutil.move(places / "A" / "data", places / "moved")
    capsys.readouterr()
    for words in (["evaluate", "../C"], ["calibrate", "../C"], ["train", "--resume", "../C"]):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert f"root: no folder 'data'. Searched: {places / 'A' / 'data'}, " in err
        assert "If the data were moved, write where they are now into ../C/recipe.yaml." in err
    path = places / "C" / "recipe.yaml"
    path.write_text(path.read_text().replace("root: data", "root: ../../moved"))
    assert main(["evaluate", "../C"]) == 2
    path.write_text(path.read_text().replace("../../moved", str(places / "moved")))
    assert main(["evaluate", "../C"]) == 0


def test_a_variable_stays_by_name_and_is_read_anew(places, monkeypatch):
    monkeypatch.setenv("POLYPS", str(places / "A"))
    words = ["--set", "data.folder.root=${POLYPS}/data", "--set", "trainer.epochs=1"]
    words += ["--set", "data.folder.table=null", "--set", "data.folder.split=${POLYPS}/cases.csv"]
    assert main(["train", "../A/r.yaml", "-o", "../C", *words]) == 0
    for saved in ("recipe.yaml", "bundle/recipe.yaml"):
        assert "root: ${POLYPS}/data" in (text := (places / "C" / saved).read_text())
        assert str(places) not in text
    shutil.move(places / "A", places / "elsewhere")
    monkeypatch.setenv("POLYPS", str(places / "elsewhere"))
    assert main(["evaluate", "../C"]) == 0


def test_a_run_that_does_not_say_where_it_began_is_looked_for_here(places, monkeypatch, capsys):
    assert main(["train", "../A/r.yaml", "-o", "../C", "--set", "trainer.epochs=1"]) == 0
    (places / "C" / "origin.json").unlink()
    assert main(["evaluate", "../C"]) == 2
    monkeypatch.chdir(places / "A")
    assert main(["evaluate", "../C"]) == 0
    (places / "C" / "origin.json").write_text(json.dumps({"recipe": 7}))
    capsys.readouterr()
    assert main(["evaluate", "../C"]) == 2
    assert "origin.json: cannot be read" in capsys.readouterr().err


def test_a_refused_run_leaves_nothing(places):
    words = ["../A/r.yaml", "-o", "../C", "--set", "trainer.device=mps"]
    assert main(["train", *words]) == 2
    assert not (places / "C").exists()
