import numpy as np
import pytest
from PIL import Image as Picture

from delineate.data import load_cases
from delineate.recipe import load_recipe
from delineate.resolve import RecipeError

RECIPE = """\
labels: {polyp: 1}
model: unet
loss: dice
seed: 3
data:
  folder: {root: photos, images: i/*, masks: m/*, values: {polyp: 255}, split: %s}
"""


@pytest.fixture
def recipe(tmp_path):
    for folder, value in (("i", 9), ("m", 255)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for name in "abcdef":
            picture = Picture.fromarray(np.full((4, 4), value, np.uint8))
            picture.save(tmp_path / "photos" / folder / f"{name}.png")

    def written(split: str):
        (tmp_path / "recipe.yaml").write_text(RECIPE % split)
        return load_recipe(tmp_path / "recipe.yaml")

    return written


def test_a_recipe_gives_its_cases(recipe):
    splits = load_cases(recipe("{train: 0.5, test: 0.5}"))
    assert {name: len(part) for name, part in splits.items()} == {"train": 3, "test": 3}
    assert splits["train"][0].truth.classes.all()
    assert splits["train"][0].truth.labels.names == ("polyp",)


def test_the_seed_of_the_recipe_decides(recipe):
    written = recipe("{train: 0.5, test: 0.5}")
    first, again = load_cases(written), load_cases(written)
    assert [c.id for c in first["test"]] == [c.id for c in again["test"]]


def test_an_error_names_the_place(recipe):
    with pytest.raises(
        RecipeError, match=r"recipe\.yaml:6: split is {train: 0\.5}; expected fractions"
    ):
        load_cases(recipe("{train: 0.5}"))
    with pytest.raises(RecipeError, match=r"recipe\.yaml:6: folder: split is \[1\]; expected"):
        load_cases(recipe("[1]"))
