"""What does not fit together is told before anything is trained."""

from dataclasses import replace

import numpy as np
import pytest

from delineate.core import Case, Geometry, Image, Segmentation
from delineate.data import load_cases
from delineate.recipe import load_recipe
from delineate.resolve import RecipeError
from delineate.training.rehearse import build_parts, rehearse

RECIPE = """\
data: phantom
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [48, 48]}}, {standardize: imagenet}]
model: {unet: {features: [4, 8]}}
loss: [dice]
trainer: {loggers: []}
"""
LAB = """\
import torch
from delineate.core import Output

class Halved(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, classes, 1, stride=2)
    def forward(self, pixels):
        return Output(self.conv(pixels))

class Numbers(Halved):
    def forward(self, pixels):
        return self.conv(pixels)

class Counting(Halved):
    def forward(self, pixels):
        full = torch.nn.functional.interpolate(self.conv(pixels), scale_factor=2)
        return Output(full * (1 + full.mean().item()))

class CountingHalf(Halved):
    def forward(self, pixels):
        half = self.conv(pixels)
        return Output(half * (1 + half.mean().item()))

def counting_half(classes):
    return CountingHalf(classes)
def halved(classes):
    return Halved(classes)
def numbers(classes):
    return Numbers(classes)
def counting(classes):
    return Counting(classes)
def table(classes):
    return {}
def broken_loss(output, target):
    return output.logits["polyp"]
def of_image(output, target):
    return output.image_logits.mean()
def no_number(output, target):
    return output.logits
def broken_metric(prediction, truth):
    return 1 / 0
def broken_step():
    return lambda found, image: found.nothing
def broken_schedule(progress):
    return 1 / (1 - progress.fraction)
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "lab_of_slips.py").write_text(LAB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def recipe(*overrides):
        (tmp_path / "r.yaml").write_text(RECIPE)
        return load_recipe("r.yaml", overrides)

    return recipe


def cases(dtype=np.uint8, channels=3, count=3):
    grid = Geometry.in_pixels((40, 56))
    image = Image(np.zeros((channels, *grid.shape), dtype), grid)

    def truth(labels):
        return lambda: Segmentation(np.zeros(grid.shape, np.uint8), labels, grid)

    def of(recipe):
        made = [Case(f"c{i}", f"c{i}", lambda: image, truth(recipe.labels)) for i in range(count)]
        return {"train": tuple(made)}

    return of


def test_what_fits_together_passes(lab):
    build_parts(lab())
    rehearse(lab(), cases()(lab()))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model=lab_of_slips:halved", r"gives \(3, 1, 24, 24\) as its dense head; expected logits \(3, 1, 48, 48\)"),
        ("model=lab_of_slips:numbers", "gives Tensor; expected an Output"),
        ("model=lab_of_slips:table", "returned a dict; expected a torch.nn.Module"),
        ("loss=lab_of_slips:broken_loss", "broken_loss failed with (IndexError|TypeError)"),
        ("loss=lab_of_slips:no_number", "does not give a single number"),
        ("metrics=[lab_of_slips:broken_metric]", "broken_metric failed with ZeroDivisionError"),
        ("refine=[lab_of_slips:broken_step]", "broken_step failed with AttributeError"),
        ("schedule=lab_of_slips:broken_schedule", "broken_schedule failed with ZeroDivisionError"),
        ("model={smp: {arch: linknet, encoder: resnet18}}", "multiples of 32, not .48, 48."),
        ("model={unet: {features: [4, 8, 8, 8, 8, 8, 8, 8], norm: instance}}", "unet: "),
    ],
)  # fmt: skip
def test_what_does_not_is_told_with_its_place(override, said, lab):
    plan = lab(override)
    with pytest.raises(RecipeError, match=f"^--set .*{said}"):  # noqa: PT012
        build_parts(plan)
        rehearse(plan, cases()(plan))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["task=presence", "model={classifier: {encoder: mobilenetv3_small_050}}"],
            "the task presence gives image-level labels. Losses that fit as they are: bce, focal",
        ),
        (["task=regions", "loss=[cross_entropy]"], "gives labels that overlap. Losses that fit as they are: bce, dice"),
        (["loss=[lab_of_slips:of_image]"], "the network has no image head; it has dense"),
        (["loss=[model_losses]"], "this one computes none. Use a loss of its heads, for instance dice"),
    ],
)  # fmt: skip
def test_a_loss_that_does_not_fit_the_heads_is_told_with_what_does(overrides, said, lab):
    plan = lab(*overrides)
    with pytest.raises(RecipeError, match=f"^(r.yaml:5|--set loss).*{said}"):
        rehearse(plan, cases()(plan))


def test_a_model_that_needs_the_background_is_refused_for_a_task_without_it(lab):
    model = "model={pranet: {encoder: mobilenetv3_small_050}}"
    two = "labels={polyp: {value: 1, includes: [tip]}, tip: 2}"
    said = "pranet takes the first of several channels for the background, and the task regions has none: .* 2 labels"
    with pytest.raises(RecipeError, match=f"^--set model.*{said}"):
        build_parts(lab(model, two, "task=regions"))
    build_parts(lab(model, two))
    build_parts(lab(model, "task=regions"))
    build_parts(lab(two, "task=regions"))


ONE_VALUE = [
    "model={smp: {arch: deeplabv3plus, encoder: resnet18}}",
    "prepare=[{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]",
]


def test_a_batch_too_small_for_batch_normalisation_is_told(lab):
    """DeepLabV3+ pools each image to one value per channel, and normalises these over the batch."""
    said = "of one value per image, and a batch of 1 image is too small for it. Use trainer.batch_size of 2 or more"
    for overrides, count in ((["trainer.batch_size=1"], 3), (["trainer.batch_size=8"], 1)):
        plan = lab(*ONE_VALUE, *overrides)
        with pytest.raises(RecipeError, match=said):
            rehearse(plan, cases(count=count)(plan))
    plan = lab(*ONE_VALUE, "trainer.batch_size=2")
    rehearse(plan, cases()(plan))


def test_a_model_that_looks_at_its_numbers_is_tried_with_numbers(lab):
    plan = lab("model=lab_of_slips:counting")
    rehearse(plan, cases()(plan))
    plan = lab("model=lab_of_slips:counting_half")
    with pytest.raises(RecipeError, match=r"gives \(2, 1, 24, 24\) as its dense head"):
        rehearse(plan, cases()(plan))


def test_pixels_that_no_augmentation_takes_are_told(lab):
    plan = lab("prepare=[{standardize: image}]", "augment=[gamma]")
    with pytest.raises(RecipeError, match=r"pixels are int16.*Add window or rescale_intensity"):
        rehearse(plan, cases(np.int16)(plan))


def test_data_without_a_case_to_train_on_are_told_at_the_data(lab):
    plan = lab()
    with pytest.raises(RecipeError, match="^r.yaml:1: there is no case to train on"):
        rehearse(plan, {"test": cases()(plan)["train"]})


def test_an_image_that_cannot_be_read_is_left_to_the_audit(lab):
    def broken():
        raise ValueError("cut short")

    plan = lab()
    first, *others = cases()(plan)["train"]
    rehearse(plan, {"train": (replace(first, load_image=broken), *others)})
    rehearse(plan, {"train": (replace(first, load_image=broken),)})


VOLUMES = """\
data: {phantom: {scene: abdomen_3d, cases: 6, shape: [16, 24, 24], split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {liver: {value: 1}, left_kidney: {value: 2}, right_kidney: {value: 3}}
prepare: [{orient: SPL}, {window: {level: 50, width: 400}}, {standardize: {by: values, mean: [0.5], std: [0.25]}}]
slices: {axes: [0], neighbours: 1}
augment: [{flip: {axes: [-1], swap: [[left_kidney, right_kidney]]}}]
model: {unet: {features: [4, 8]}}
loss: [dice]
trainer: {loggers: []}
"""


@pytest.fixture
def volumes(tmp_path):
    path = tmp_path / "volumes.yaml"
    path.write_text(VOLUMES)

    def load(*overrides):
        recipe = load_recipe(path, overrides)
        build_parts(recipe)
        rehearse(recipe, load_cases(recipe))

    return load


def test_slices_that_fit_pass(volumes):
    volumes()
    volumes("slices.neighbours=0", "predict=[{sliding_window: {size: [8, 16, 16]}}]")
    volumes("slices.axes=[1]", "augment=[]")
    volumes("slices.axes=[0, 1]")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["slices.axes=[0, 2]", "data.phantom.shape=[24, 24, 24]"], "none of the slices along axis 2. Leave out flip"),
        (["augment=[{flip: {axes: [-1]}}]"], "reflects left and right .axis 1., and would leave the labels"),
        (["predict=[slicewise]"], "a recipe with slices predicts volumes already"),
        (["predict=[{sliding_window: {size: [8, 16, 16]}}]"], "sliding_window cuts the volume"),
        (["task=presence", "model=classifier"], "slices are for tasks with dense logits only"),
        (["prepare.2.standardize={by: image}"], "standardize in prepare gives a slice other values in training"),
        (
            ["data.phantom.scene=abdomen", "data.phantom.shape=[32, 32]", "prepare.0={orient: PL}"],
            "a prepared image has 2 axes. Leave out slices",
        ),
    ],
)  # fmt: skip
def test_slices_that_do_not_fit_are_told(overrides, said, volumes):
    with pytest.raises(RecipeError, match=said):
        volumes(*overrides)


def test_slicewise_is_refused_for_a_network_of_volumes(tmp_path):
    text = "\n".join(x for x in VOLUMES.splitlines() if not x.startswith(("slices", "augment")))
    (tmp_path / "v.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "v.yaml")
    rehearse(recipe, load_cases(recipe))
    recipe = load_recipe(tmp_path / "v.yaml", "predict=[slicewise]")
    build_parts(recipe)
    with pytest.raises(RecipeError, match=r"the prepared images have 3.*slices: \{axes: \[0\]\}"):
        rehearse(recipe, load_cases(recipe))


def test_slices_to_oversample_are_looked_for_in_the_prepared_truth(volumes):
    oversampled = "trainer.oversample_foreground=0.5"
    volumes(oversampled)
    middle = (
        "prepare=[{orient: SPL}, {crop: {shape: [4, 24, 16]}}, {window: {level: 50, width: 400}}]"
    )
    with pytest.raises(
        RecipeError, match="with and without a label; all of the slices of 3 volumes"
    ):
        volumes(oversampled, middle)  # every slice that is left shows an organ
    volumes(oversampled, middle, "slices.axes=[0, 1]")
