"""A run judged on data of another centre: what is written, what is refused, and what is said of leaks."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from delineate import verbs
from delineate.cli import main
from delineate.data import load_cases
from delineate.files import write_image
from delineate.recipe import RecipeError, load_data, load_recipe

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "validate-on-other-data.md"


def drawn(tiny_recipe, count, seed):
    """Made-up frames with their masks."""
    recipe = load_recipe(tiny_recipe, [f"data.phantom.cases={count + 8}", f"seed={seed}"])
    return [case for part in load_cases(recipe).values() for case in part][:count]


def write(cases, home, value, name="{:02}"):
    """Photographs, and masks that hold `value` for the polyp."""
    (home / "masks").mkdir(parents=True)
    for i, case in enumerate(cases):
        write_image(case.image, home / "images" / f"{name.format(i)}.png")
        mask = np.uint8(value) * case.truth.mask("polyp")
        cv2.imwrite(str(home / "masks" / f"{name.format(i)}.png"), mask.astype(np.uint8))


@pytest.fixture(scope="module")
def trained(tiny_recipe, tmp_path_factory):
    """The folder of training data, and of a run on them; 00 to 05 are learnt from, 06 to 08 validate, 09 to 11 test."""
    home = tmp_path_factory.mktemp("centre-a")
    write(drawn(tiny_recipe, 12, 0), home, 1)
    rows = [f"{i:02},{'train' if i < 6 else 'val' if i < 9 else 'test'},p{i}" for i in range(12)]
    (home / "table.csv").write_text("\n".join(["id,split,group", *rows]) + "\n")
    tree = yaml.safe_load(tiny_recipe.read_text())
    folder = {"root": str(home), "images": "images/*", "masks": "masks/*", "table": "table.csv"}
    tree["data"] = {"folder": folder}
    tree["trainer"] |= {"epochs": 1}
    path = home / "centre-a.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return home, verbs.train(path, run=home / "run")


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run."""
    return Path(shutil.copytree(trained[1], tmp_path / "run"))


@pytest.fixture
def other(tiny_recipe, tmp_path):
    """Six cases of another centre, whose masks hold 255."""
    home = tmp_path / "centre-b"
    write(drawn(tiny_recipe, 6, 7), home, 255, "b{:02}")
    return home


def judged(run, other, *more):
    folders = ["--images", f"{other}/images", "--masks", f"{other}/masks"]
    return main(["evaluate", str(run), *folders, "--values", "polyp=255", "--metrics", "dice", *more])  # fmt: skip


def scores_of(folder):
    return json.loads((folder / "scores.json").read_text())


def contents(folder):
    return {
        p: p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and "external" not in p.relative_to(folder).parts
    }


def test_two_folders_are_judged_and_the_run_stays_as_it_is(run, other, trained, capsys):
    before = contents(run)
    assert judged(run, other) == 0
    printed = capsys.readouterr().out
    assert contents(run) == before
    out = run / "external" / "centre-b"
    assert {p.name for p in out.iterdir()} == {
        "cases.csv", "cases.tallies.npz", "scores.json", "report.html", "figures", "predictions",
        "overlays",
    }  # fmt: skip
    assert len(list((out / "predictions").iterdir())) == 6
    scores = scores_of(out)
    assert (scores["split"], scores["cases"]) == ("external: centre-b", 6)
    assert (scores["independent"], scores["caveats"]) == (True, [])
    assert "external: centre-b: 6 cases of 6 groups" in printed
    assert "WARNING" not in printed
    assert f"report: {out}/report.html" in printed
    page = (out / "report.html").read_text()
    for said in (
        "centre-a on centre-b", "In 6 unseen cases", "The data the model was made from",
        str(trained[0]), f"images {other}/images", "Testing on external data",
    ):  # fmt: skip
        assert said in page
    assert judged(run, other) == 0  # its own folder may be written again
    assert judged(run, other, "-o", f"{run.parent}/again") == 0
    folders = [str(out), f"{run.parent}/again"]
    assert main(["compare", *folders, "-o", f"{run.parent}/comparison"]) == 0


def test_masks_of_other_values_are_refused_with_what_to_write(run, other, capsys):
    folders = ["--images", f"{other}/images", "--masks", f"{other}/masks"]
    assert main(["evaluate", str(run), *folders]) == 2
    said = capsys.readouterr().err
    assert "6 masks with values or colours that no label has" in said
    assert "--values polyp=255" in said
    assert not (run / "external").exists()


def plant(trained, other, number, quality):
    """A photograph of the run's own data among the others: equal, or as JPEG."""
    home = trained[0]
    picture = cv2.imread(str(home / "images" / f"{number:02}.png"))
    if quality:
        picture = cv2.imdecode(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1
        )
    cv2.imwrite(str(other / "images" / "b03.png"), picture)
    mask = cv2.imread(str(home / "masks" / f"{number:02}.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(other / "masks" / "b03.png"), mask * 255)


@pytest.mark.parametrize(
    ("number", "quality", "check"),
    [(2, None, "duplicates_across_splits"), (2, 80, "near_duplicates_across_splits"),
     (7, None, "duplicates_across_splits")],
)  # fmt: skip
def test_a_planted_leak_is_refused_and_allowed_by_name(
    run, other, trained, capsys, number, quality, check
):
    plant(trained, other, number, quality)
    assert judged(run, other) == 2
    said = capsys.readouterr().err
    assert f"{check}: 1 " in said
    assert f"{number:02} = centre-b/b03" in said
    assert "in the training data and in centre-b" in said
    assert f"--allow {check}" in said
    assert not (run / "external").exists()
    assert judged(run, other, "--allow", check) == 0
    told = capsys.readouterr().out
    assert told.startswith("WARNING: these cases are not independent of the evaluated model.")
    scores = scores_of(run / "external" / "centre-b")
    assert scores["independent"] is False
    assert check in scores["caveats"][0]
    page = (run / "external" / "centre-b" / "report.html").read_text()
    assert page.index("Not independent.") < page.index('class="tiles"')
    assert "unseen case" not in page


def test_a_copy_of_a_test_case_is_no_leak(run, other, trained):
    plant(trained, other, 10, None)
    assert judged(run, other) == 0
    assert scores_of(run / "external" / "centre-b")["independent"] is True


def test_groups_of_one_name_are_refused_unless_only_their_names_agree(run, other, capsys):
    rows = [f"b{i:02},p{i + 4}" for i in range(6)]  # p4 and p5 were learnt from, p6 to p8 validated
    (other / "table.csv").write_text("\n".join(["id,group", *rows]) + "\n")
    table = ["--table", f"{other}/table.csv"]
    assert judged(run, other, *table) == 2
    said = capsys.readouterr().err
    assert "group_across_splits: 5 groups in the training data and in centre-b" in said
    assert "--allow group_across_splits" in said
    assert judged(run, other, *table, "--allow", "group_across_splits") == 0
    assert scores_of(run / "external" / "centre-b")["independent"] is False
    assert judged(run, other, "--allow", "leeks") == 2
    assert "leeks" in capsys.readouterr().err


def test_data_may_be_called_train(run, other, tmp_path):
    path = data_file(tmp_path, other, labels={"polyp": 3, "fold": 255})  # so no mask shows a polyp
    path.rename(tmp_path / "train.yaml")
    table = verbs.evaluate(run, data=tmp_path / "train.yaml", metrics=["dice"])
    assert (table.split, table.independent) == ("external: train", True)


def test_cases_of_one_file_name_are_not_taken_for_one_patient(run, tiny_recipe, tmp_path):
    write(
        drawn(tiny_recipe, 6, 7), tmp_path / "centre-c", 255
    )  # 00.png, 01.png, ... as the training data
    assert judged(run, tmp_path / "centre-c") == 0


def test_without_the_training_data_exact_copies_are_still_known(run, other, trained, capsys):
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(trained[0]), "/nowhere"))
    assert judged(run, other) == 0
    assert "WARNING: these cases are not known to be independent" in capsys.readouterr().out
    scores = scores_of(run / "external" / "centre-b")
    assert scores["independent"] is None
    assert "the audit searched for exact copies of training images only" in scores["caveats"][0]
    page = (run / "external" / "centre-b" / "report.html").read_text()
    assert page.index("Not known to be independent.") < page.index('class="tiles"')
    plant(trained, other, 2, None)
    assert judged(run, other) == 2
    assert "duplicates_across_splits: 1 image in the training data" in capsys.readouterr().err


def test_training_data_that_changed_since_are_told(run, other):
    card = run / "bundle" / "card.json"
    known = json.loads(card.read_text())
    known["audit"]["pixels"]["train"][0] = "0" * 32
    card.write_text(json.dumps(known))
    verbs.rehash(run)
    table = verbs.evaluate(
        run, images=other / "images", masks=other / "masks", values={"polyp": 255}, metrics=["dice"]
    )
    assert table.independent is None
    assert "changed since" in table.caveats[0]


def test_the_file_of_the_how_to_page_is_read_and_judged(run, other, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    block = block.replace("data/centre-b", str(other)).replace("*.jpg", "*.png")
    path = tmp_path / "centre-b.yaml"
    path.write_text(block.replace("(patient\\\\d+)_.*", "(b)\\\\d+"))
    table = verbs.evaluate(run, data=path, metrics=["dice"])
    assert (table.split, len(table.cases), table.groups) == ("external: centre-b", 6, ("b",))
    assert (run / "external" / "centre-b" / "report.html").is_file()
    assert load_data(path).labels is None


def data_file(tmp_path, other, **sections):
    folder = {"root": str(other), "images": "images/*", "masks": "masks/*"}
    path = tmp_path / "theirs.yaml"
    path.write_text(yaml.safe_dump({"data": {"folder": folder}, **sections}))
    return path


def test_labels_of_the_other_data_say_what_their_masks_hold(run, other, tmp_path):
    mask = cv2.imread(str(other / "masks" / "b01.png"), cv2.IMREAD_GRAYSCALE)
    mask[:4] = 9  # another structure, which the run does not know
    mask[-4:] = 77  # nobody knows
    cv2.imwrite(str(other / "masks" / "b01.png"), mask)
    labels = {"polyp": 255, "instrument": 9, "unsure": {"value": 77, "kind": "ignore"}}
    table = verbs.evaluate(
        run, data=data_file(tmp_path, other, labels=labels), metrics=["dice", "pixel_accuracy"]
    )
    assert table.labels == ("polyp", "all")
    row = next(row for row in table.rows_of("polyp") if row.case == "b01")
    assert row.truth_samples == np.count_nonzero(mask[4:-4] == 255)
    assert row.tp + row.fp + row.fn + row.tn == mask[:-4].size
    labels["polyp"] = {"value": 255, "includes": ["instrument"]}  # now it is part of the polyp
    table = verbs.evaluate(run, data=data_file(tmp_path, other, labels=labels), metrics=["dice"])
    row = next(row for row in table.rows_of("polyp") if row.case == "b01")
    assert row.truth_samples == np.isin(mask[:-4], (9, 255)).sum()
    path = data_file(tmp_path, other, labels={"adenoma": 255})
    with pytest.raises(
        RecipeError, match="the run has the labels polyp; labels does not name polyp"
    ):
        verbs.evaluate(run, data=path)


def test_a_recipe_is_a_file_of_data_and_its_splits_can_be_chosen(run, other, tmp_path, trained):
    tree = yaml.safe_load((trained[0] / "centre-a.yaml").read_text())
    tree["data"]["folder"] = {
        "root": str(other), "images": "images/*", "masks": "masks/*", "values": {"polyp": 255},
        "split": {"train": 0.5, "test": 0.5},
    }  # fmt: skip
    tree["audit"] = {
        "allow": ["duplicates_across_splits"]
    }  # of its own split, not of two data sets
    path = tmp_path / "recipe-b.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert len(verbs.evaluate(run, data=path, metrics=["dice"]).cases) == 6
    half = verbs.evaluate(run, data=path, split="test", metrics=["dice"])
    assert (half.split, len(half.cases)) == ("external: recipe-b, split test", 3)
    with pytest.raises(ValueError, match="recipe-b: the data have no split 'val'; there are "):
        verbs.evaluate(run, data=path, split="val")
    plant(trained, other, 2, None)
    with pytest.raises(ValueError, match="duplicates_across_splits"):
        verbs.evaluate(run, data=path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "x.yaml", "--images", "i", "--masks", "m"], "give one of the two"),
        (["--images", "i"], "masks are missing"),
        (["--masks", "m"], "images are missing"),
        (["--values", "polyp=255"], "values: belongs to other data, and none were given"),
        (["-o", "somewhere"], "out: belongs to other data"),
        (["--data", "nowhere.yaml"], "nowhere.yaml: no such data file"),
        (["--images", "nowhere", "--masks", "m"], "nowhere: no such folder"),
        (
            ["--truth", "t", "--predictions", "f"],
            "give its true masks with --masks",
        ),
    ],
)
def test_mixtures_are_refused(run, capsys, words, said):
    assert main(["evaluate", str(run), *words]) == 2
    assert said in capsys.readouterr().err


def test_what_belongs_to_a_run_is_refused_without_one(capsys):
    assert main(["evaluate", "--images", "i", "--masks", "m", "--values", "polyp=1"]) == 2
    assert "--masks, --values is for a run, but no run was given" in capsys.readouterr().err


def test_a_file_of_data_is_checked(run, other, tmp_path):
    with pytest.raises(RecipeError, match="'metrics' is not a section of a data file"):
        verbs.evaluate(run, data=data_file(tmp_path, other, metrics=["dice"]))
    path = tmp_path / "none.yaml"
    path.write_text("labels: {polyp: 1}\n")
    with pytest.raises(RecipeError, match="the section 'data' is missing"):
        verbs.evaluate(run, data=path)
    with pytest.raises(ValueError, match="values: belongs to images and masks"):
        verbs.evaluate(run, data=data_file(tmp_path, other), values={"polyp": 1})
    path.write_text("data: {foldr: {root: .}}\n")
    with pytest.raises(
        RecipeError, match=r"none.yaml:1: no 'foldr' in data; did you mean 'folder'"
    ):
        verbs.evaluate(run, data=path)


def test_other_data_are_judged_where_no_cache_can_be(run, other, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DELINEATE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert judged(run, other) == 0


def test_volumes_are_refused_by_a_model_of_photographs(run, tmp_path, capsys):
    from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
    from delineate.files import write_mask

    grid = Geometry.in_patient((8, 8, 4), np.diag([1.0, 1, 2, 1]))
    classes = np.zeros(grid.shape, np.uint8)
    classes[2:5, 2:5, 1:3] = 1
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 99, (1, *grid.shape)).astype(np.int16)
        write_image(Image(pixels, grid), tmp_path / "ct" / "images" / f"{i}.nii.gz")
        truth = Segmentation(classes, LabelSet((Label("polyp", 1),)), grid)
        write_mask(truth, tmp_path / "ct" / "masks" / f"{i}.nii.gz")
    folders = ["--images", f"{tmp_path}/ct/images", "--masks", f"{tmp_path}/ct/masks"]
    assert main(["evaluate", str(run), *folders]) == 2
    assert "for 2 axes, but the image has 3" in capsys.readouterr().err
    assert not (run / "external").exists()
