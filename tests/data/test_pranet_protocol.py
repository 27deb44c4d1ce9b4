"""PraNet's protocol: one training set, and five test sets that are evaluated apart and together."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from delineate.core import Label, LabelSet
from delineate.data.pranet_protocol import SETS, pranet_protocol
from delineate.evaluation.evaluate import evaluate
from delineate.metrics import load_metrics
from delineate.resolve import Call, RecipeError, build

POLYP = LabelSet((Label("polyp", 1, "thing"),))
COUNTS = {"CVC-300": 3, "CVC-ClinicDB": 2, "CVC-ColonDB": 5, "ETIS-LaribPolypDB": 4, "Kvasir": 3}


def write_pairs(images: Path, masks: Path, names, seed=0):
    for folder in (images, masks):
        folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name in names:
        cv2.imwrite(str(images / f"{name}.png"), rng.integers(0, 255, (20, 24, 3), np.uint8))
        mask = np.zeros((20, 24), np.uint8)
        mask[4:12, 5 : 9 + len(name)] = 253  # as many masks there, not 255 throughout
        cv2.imwrite(str(masks / f"{name}.png"), mask)


@pytest.fixture
def tree(tmp_path):
    """The official tree; names are used again in several sets."""
    home = tmp_path / "polyps"
    training = home / "TrainDataset"
    write_pairs(training / "image", training / "mask", [*map(str, range(1, 13)), "cju0a", "cju0b"])
    for seed, (name, count) in enumerate(COUNTS.items(), start=1):
        folder = home / "TestDataset" / name
        write_pairs(folder / "images", folder / "masks", map(str, range(1, count + 1)), seed)
    return home


def splits(root: Path, labels: LabelSet = POLYP, **arguments):
    call = Call("pranet_protocol", {"root": str(root)} | arguments)
    return build("data", call, labels=labels, folder=root.parent, seed=0)


def test_the_five_sets_are_one_split_and_a_column(tree):
    found = splits(tree)
    assert {name: len(part) for name, part in found.items()} == {"train": 13, "val": 1, "test": 17}
    assert set(SETS) == set(COUNTS)
    for name, count in COUNTS.items():
        of = [case for case in found["test"] if case.columns["test_set"] == name]
        assert [case.id for case in of] == [f"{name}/{i}" for i in range(1, count + 1)]
        assert all(case.group == case.id and case.truth.classes.sum() == 8 * 5 for case in of)
        assert all(name in str(case.image_path) for case in of)


def test_each_set_has_its_own_mean_beside_that_of_all(tree):
    test = splits(tree)["test"]
    table = evaluate(lambda case: case.truth, test, load_metrics([Call("dice")]), progress=False)
    assert table.columns == ("test_set",)
    parts = table.subgroups("test_set")
    assert {name: len(part.cases) for name, part in parts.items()} == COUNTS
    assert set(table.scores()["subgroups"]["test_set"]) == set(COUNTS)
    assert all(part.mean("polyp", "dice") == 1 for part in parts.values())


def test_the_training_set_is_split_by_the_groups_of_a_table(tree):
    ids = [*map(str, range(1, 13)), "cju0a", "cju0b"]
    rows = "".join(f"{id},g{i // 2}\n" for i, id in enumerate(ids))
    (tree / "near.csv").write_text("id,dup_group\n" + rows)
    found = splits(
        tree, table="near.csv", group="column:dup_group", split={"train": 0.7, "val": 0.3}
    )
    for name in ("train", "val"):
        assert len(found[name]) == 2 * len({case.group for case in found[name]})
    assert len(found["test"]) == 17


def test_the_seed_divides_the_training_set_only(tree):
    call = Call("pranet_protocol", {"root": str(tree), "split": {"train": 0.5, "val": 0.5}})
    one, other = (build("data", call, labels=POLYP, folder=tree, seed=seed) for seed in (0, 1))
    assert [c.id for c in one["train"]] != [c.id for c in other["train"]]
    assert [c.id for c in one["test"]] == [c.id for c in other["test"]]


def test_no_test_set_is_refused_also_from_python(tree):
    with pytest.raises(ValueError, match="sets names no test set"):
        pranet_protocol(labels=POLYP, folder=tree.parent, seed=0, root=str(tree), sets=())


def test_some_sets_can_be_named(tree):
    found = splits(tree, sets=["Kvasir", "CVC-300"])
    assert {case.columns["test_set"] for case in found["test"]} == {"Kvasir", "CVC-300"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sets": ["Kvasyr"]}, "no test set 'Kvasyr'; did you mean 'Kvasir'"),
        ({"sets": ["Kvasir", "Kvasir"]}, "sets names Kvasir twice"),
        ({"sets": []}, "sets is"),
        ({"split": {"train": 0.8, "test": 0.2}}, "TrainDataset into a split 'test' too"),
    ],
)
def test_what_is_not_there_is_told(tree, arguments, told):
    with pytest.raises(RecipeError, match=told):
        splits(tree, **arguments)


def test_a_missing_set_or_folder_is_told(tree):
    for path in (tree / "TestDataset/Kvasir/masks").glob("*"):
        path.unlink()
    (tree / "TestDataset/Kvasir/masks").rmdir()
    with pytest.raises(
        RecipeError, match="Kvasir: expected a folder masks or mask; there are none"
    ):
        splits(tree)
    with pytest.raises(
        RecipeError, match=r"the masks have one label, and the recipe has polyp, skin"
    ):
        splits(tree, LabelSet((*POLYP.labels, Label("skin", 2))))
