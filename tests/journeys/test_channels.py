"""An image of several files: train on two channels, evaluate, and predict."""

import csv
import json

import numpy as np
import pytest
import yaml

from delineate import verbs
from delineate.core import Geometry, Image
from delineate.files import read_image, write_image

GRID = Geometry.in_patient((16, 16, 16), np.diag([-1.0, -1, 2, 1])[:, :4])

RECIPE = {
    "data": {
        "folder": {
            "root": "data",
            "images": {"flair": "{stem}/flair.nii.gz", "t1c": "{stem}/t1c.nii.gz"},
            "masks": "{stem}/seg.nii.gz",
            "split": {"train": 0.5, "val": 0.25, "test": 0.25},
        }
    },
    "labels": {"tumour": 1},
    "prepare": [{"standardize": {"by": "image"}}],
    "model": {"unet": {"features": [4, 8]}},
    "loss": ["dice"],
    "optimizer": {"adamw": {"lr": 0.01}},
    "trainer": {"epochs": 1, "batch_size": 2, "loggers": [], "device": "cpu"},
    "metrics": ["dice"],
}


def made(home, seed):
    """Two channels and a truth of eight patients."""
    rng = np.random.default_rng(seed)
    for number in range(8):
        truth = np.zeros((1, *GRID.shape))
        truth[0, 4:10, 4 + number % 4 : 10, 5:12] = 1
        for name, dtype, gain in (("flair", "int16", 300), ("t1c", "float32", 0.5)):
            image = truth * gain + rng.normal(0, gain / 4, truth.shape)
            write_image(Image(image.astype(dtype), GRID), home / f"data/p{number}/{name}.nii.gz")
        mask = Image(truth.astype(np.uint8), GRID)
        write_image(mask, home / f"data/p{number}/seg.nii.gz")
    return home


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the two channels of eight patients."""
    home = made(tmp_path_factory.mktemp("channels"), 0)
    (home / "two.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return verbs.train(home / "two.yaml", run=home / "run")


def test_the_card_names_the_channels(run):
    card = json.loads((run / "bundle/card.json").read_text())
    assert (card["channels"], card["image_channels"]) == (2, ["flair", "t1c"])


def test_an_image_is_predicted_from_one_file_for_each_channel(run, tmp_path):
    for number, name in enumerate(("flair", "t1c")):
        image = read_image(run.parent / f"data/p0/{name}.nii.gz")
        write_image(image, tmp_path / f"numbers/a_{number:04d}.nii.gz")
        write_image(image, tmp_path / f"names/a_{name}.nii.gz")
    masks = []
    for inputs in ("numbers", "names"):
        done = verbs.predict(run, tmp_path / inputs, tmp_path / "out" / inputs, device="cpu")
        assert (done.images, dict(done.failures)) == (1, {})
        masks.append(read_image(tmp_path / "out" / inputs / "a.nii.gz"))
    np.testing.assert_array_equal(masks[0].pixels, masks[1].pixels)
    assert masks[0].geometry == GRID
    with open(tmp_path / "out/numbers/predictions.csv", newline="") as file:
        assert next(csv.DictReader(file))["image"].endswith("a_0000.nii.gz")


def test_an_image_of_one_channel_fails_and_says_what_is_expected(run, tmp_path):
    source = run.parent / "data/p0/flair.nii.gz"
    done = verbs.predict(run, source, tmp_path, device="cpu")
    (reason,) = done.failures.values()
    assert "has 1 channel; expected 2 in all: flair, t1c" in reason
    assert not list(tmp_path.glob("*.nii.gz"))


def test_evaluation_of_other_data_reads_all_channels(run, tmp_path):
    root = made(tmp_path, 1) / "data"
    data = {"folder": RECIPE["data"]["folder"] | {"root": str(root)}}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"data": data, "labels": {"tumour": 1}}))
    table = verbs.evaluate(
        run,
        data=tmp_path / "data.yaml",
        out=tmp_path / "out",
        device="cpu",
        allow=["patient_across_splits"],
    )
    assert len({row.case for row in table.rows}) == 8
