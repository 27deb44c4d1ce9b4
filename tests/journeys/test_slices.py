"""A 2D model for volumes: trained on their slices, validated, evaluated and predicted as volumes."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from delineate import load_bundle, load_cases, verbs
from delineate.core import Case, Image
from delineate.data.phantom import phantom
from delineate.files import read_geometry, read_image, write_image
from delineate.recipe import load_recipe, saved_recipe
from delineate.verbs._audit import audit_recipe, refuse

RECIPE = """\
data: {phantom: {scene: abdomen_3d, cases: 10, shape: [32, 32, 24], split: {train: 0.6, val: 0.2, test: 0.2}}}
labels: {liver: {value: 3}, spleen: {value: 7}, left_kidney: {value: 4}, right_kidney: {value: 5}}
prepare: [{orient: SPL}, {window: {level: 60, width: 300}}, {standardize: {by: values, mean: [0.5], std: [0.25]}}]
slices: {neighbours: 1}
augment: [{flip: {axes: [-1], swap: [[left_kidney, right_kidney]]}}]
model: {unet: {features: [8, 16, 32]}}
loss: [dice, cross_entropy]
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 6, batch_size: 12, val_every: 3, oversample_foreground: 0.8, class_balanced: true, loggers: []}
metrics: [dice]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "organs.yaml"
    path.write_text(RECIPE)
    return verbs.train(path, run=tmp_path_factory.mktemp("outputs") / "organs" / "run")


def test_volumes_are_learnt_from_slices_and_evaluated_as_volumes(run):
    scores = json.loads((run / "scores.json").read_text())
    assert scores["cases"] == 2
    assert scores["labels"]["liver"]["metrics"]["dice"]["mean"] > 0.5
    card = json.loads((run / "bundle" / "card.json").read_text())
    assert (card["channels"], card["ndim"]) == (3, 2)
    with (run / "metrics.csv").open() as file:
        assert all(float(row["val/dice"]) >= 0 for row in csv.DictReader(file) if row["val/dice"])


def test_a_volume_comes_out_on_its_own_grid(run, tmp_path):
    recipe = saved_recipe(run / "bundle" / "recipe.yaml", data=True)
    (case, *_) = load_cases(recipe)["test"]
    write_image(case.image, tmp_path / "scan.nii.gz")
    found = verbs.predict(run, tmp_path / "scan.nii.gz", tmp_path / "found")
    assert not found.failures
    mask = tmp_path / "found" / "scan.nii.gz"
    assert read_geometry(mask) == case.image.geometry
    classes = read_image(mask).pixels[0]
    assert set(np.unique(classes)) <= {0, 3, 4, 5, 7}
    assert np.array_equal(classes, load_bundle(run)(case).classes)
    liver = classes == 3
    truth = case.truth.mask("liver")
    assert 2 * (liver & truth).sum() > 0.5 * (liver.sum() + truth.sum())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A model for 2D slices that are images of their own."""
    path = tmp_path_factory.mktemp("recipe") / "plain.yaml"
    lines = [line for line in RECIPE.splitlines() if not line.startswith(("slices", "augment"))]
    path.write_text("\n".join(lines))
    return verbs.train(
        path,
        overrides=[
            "data.phantom={scene: abdomen, cases: 80, shape: [32, 32], split: {train: 0.8, val: 0.1, test: 0.1}}",
            "prepare.orient=PL",
            "trainer={epochs: 10, batch_size: 12, val_every: 5, loggers: []}",
        ],
        run=tmp_path_factory.mktemp("outputs") / "plain" / "run",
    )


def test_a_model_for_images_walks_a_volume(plain):
    labels = saved_recipe(plain / "bundle" / "recipe.yaml").labels
    parts = {"train": 0.5, "test": 0.5}
    (case, *_) = phantom(
        labels=labels, seed=4, scene="abdomen_3d", cases=2, shape=(32, 32, 24), split=parts
    )["test"]
    predictor = load_bundle(plain)
    found = predictor(case)
    assert found.geometry == case.image.geometry
    liver, truth = found.mask("liver"), case.truth.mask("liver")
    assert 2 * (liver & truth).sum() > 0.5 * (liver.sum() + truth.sum())
    # the same volume stored in another order of axes gives the same segmentation
    for axes, flips in (((2, 0, 1), (False, True, False)), ((1, 2, 0), (True, True, True))):
        image = case.image
        pixels = image.pixels.transpose(0, *(a + 1 for a in axes))
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
        turned = Image(pixels[(slice(None), *steps)], image.geometry.reordered(axes, flips))
        again = predictor(Case.of_image(turned)).classes
        assert np.array_equal(again, found.classes.transpose(axes)[steps])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([], None),
        (["prepare=[]"], "slices cuts along an axis that is another direction in each"),
        (["prepare=[]", "slices=null"], "flip reflects along an axis that is another direction"),
        (["prepare=[]", "slices=null", "augment=[{flip: {axes: [0]}}]"], "flip reflects along"),
        (["prepare=[]", "slices=null", "augment=[{flip: {swap: []}}]"], "images of "),
        (["prepare=[]", "slices=null", "augment=[]"], "images of "),
    ],
)  # fmt: skip
def test_volumes_of_several_orientations_are_refused_where_an_axis_means_a_direction(
    changes, said, tmp_path
):
    (tmp_path / "r.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "r.yaml", changes)
    first, *others = load_cases(recipe)["train"]
    image = first.image
    turned = Image(image.pixels[:, ::-1], image.geometry.reordered((0, 1, 2), (True, False, False)))
    truth = replace(first.truth, classes=first.truth.classes[::-1], geometry=turned.geometry)
    first = replace(first, load_image=lambda: turned, load_truth=lambda: truth)
    found = audit_recipe(recipe, {"train": [first, *others]})
    about = [f for f in found.findings if "images of" in f.says]
    if said is None:
        assert not about
        return
    (finding,) = about
    assert said in finding.says
    assert finding.level == ("warn" if said == "images of " else "refuse")
    assert finding.cases == ((first.id,),)
    if finding.level == "refuse":
        with pytest.raises(ValueError, match="prepare with {orient: SPL}"):
            refuse(recipe, found)
