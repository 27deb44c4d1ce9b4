"""Scores of cases that had a part in making the model say so, wherever they are told."""

import json
import shutil
from pathlib import Path

import pytest

from delineate import verbs
from delineate.cli import main


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a run."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def told(run, split, capsys):
    """What the terminal, scores.json, card and report say of the last evaluation."""
    printed = capsys.readouterr().out
    scores = json.loads((run / "scores.json").read_text())
    card = json.loads((run / "bundle" / "card.json").read_text())["scores"][split]
    assert (card["independent"], card["caveats"]) == (scores["independent"], scores["caveats"])
    return printed, scores, (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("split", "why"),
    [
        ("val", "The split “val” was used to select the epoch of the weights and to fit the temperature"),
        ("train", "The model was trained on these cases"),
    ],
)  # fmt: skip
def test_scores_on_cases_that_made_the_model_say_so_first(run, split, why, capsys):
    assert main(["evaluate", str(run), "--split", split, "--metrics", "dice"]) == 0
    printed, scores, page = told(run, split, capsys)
    assert scores["independent"] is False
    assert scores["caveats"][0].startswith(why)
    assert printed.startswith("WARNING: these cases are not independent of the evaluated model")
    assert " ".join(printed.split()).index(why) < printed.index("polyp")
    assert page.index("Not independent.") < page.index(why) < page.index('class="tiles"')
    assert "unseen" not in page[page.index("<main>") :].replace('class="unseen"', "")


def test_a_test_split_with_nothing_chosen_on_it_is_independent(run, capsys):
    assert main(["evaluate", str(run), "--metrics", "dice"]) == 0
    printed, scores, page = told(run, "test", capsys)
    assert (scores["independent"], scores["caveats"]) == (True, [])
    assert "WARNING" not in printed
    assert "Not independent" not in page
    assert "unseen case" in page


def test_a_test_split_that_was_calibrated_on_is_not(run, capsys):
    verbs.calibrate(run, split="test")
    assert main(["evaluate", str(run), "--metrics", "dice"]) == 0
    _, scores, _ = told(run, "test", capsys)
    assert scores["independent"] is False
    assert scores["caveats"][0].startswith("The split “test” was used to fit the temperature")


def test_a_run_without_test_split_warns_after_training(tiny_recipe, tmp_path, capsys):
    overrides = ["--set", "data.phantom.split={train: 0.5, val: 0.5}", "--set", "trainer.epochs=1"]
    assert main(["train", str(tiny_recipe), *overrides, "-o", str(tmp_path / "run")]) == 0
    printed, scores, page = told(tmp_path / "run", "val", capsys)
    assert (scores["split"], scores["independent"]) == ("val", False)
    assert printed.startswith("WARNING")
    assert "Not independent." in page


def test_a_comparison_of_such_scores_says_it_too(run, tmp_path, capsys):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    for folder in (run, other):
        assert main(["evaluate", str(folder), "--split", "val", "--metrics", "dice"]) == 0
    capsys.readouterr()
    out = tmp_path / "comparison"
    assert main(["compare", str(run), str(other), "-o", str(out)]) == 0
    assert capsys.readouterr().out.startswith("WARNING: these cases are not independent")
    found = json.loads((out / "comparison.json").read_text())
    assert set(found["independent"].values()) == {False}
    page = (out / "report.html").read_text()
    assert page.index("Not independent.") < page.index('class="tiles"')


def test_of_masks_of_anybody_nothing_is_claimed(tmp_path):
    import cv2
    import numpy as np

    (tmp_path / "labels.yaml").write_text("labels: {polyp: 1}\n")
    for part in ("truth", "predictions"):
        (tmp_path / part).mkdir()
        for i in range(3):
            mask = np.uint8(np.arange(64).reshape(8, 8) > 20 + i)
            cv2.imwrite(str(tmp_path / part / f"{i}.png"), mask)
    table, out = verbs.evaluate_masks(
        tmp_path / "predictions", tmp_path / "truth", tmp_path / "labels.yaml", tmp_path / "out"
    )
    assert (table.independent, table.caveats) == (None, ())
    assert json.loads((out / "scores.json").read_text())["independent"] is None
    assert "unseen case" not in (out / "report.html").read_text()
