import hashlib
import json
import shutil

import pytest
import yaml

from delineate import verbs

RECIPE = """\
# delineate train tiny.yaml
# a model that can be trained while a test waits
data:
  phantom: {scene: endoscopy, cases: 16, shape: [64, 64], split: {train: 0.5, val: 0.25, test: 0.25}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]
augment: [flip, {rotate: {degrees: 30}}, {brightness_contrast: {}}]
model: {unet: {features: [4, 8], dropout: 0.1}}
loss: [dice, bce]
optimizer: {adamw: {lr: 1.0e-2}}
schedule: {cosine: {warmup: 0.1}}
trainer: {epochs: 3, batch_size: 4, ema: 0.9, gradient_clip: 1.0, loggers: []}
metrics: [dice, iou]
"""


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory):
    """A recipe's file."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe, tmp_path_factory):
    """The folder of a finished run."""
    return verbs.train(tiny_recipe, run=tmp_path_factory.mktemp("outputs") / "tiny" / "run")


@pytest.fixture(scope="session")
def sealed():
    """Write the hashes of a bundle's parts into its card anew, as somebody does who changed them on purpose."""

    def seal(bundle):
        path = bundle / "card.json"
        card = json.loads(path.read_text())
        card["parts"] = {
            name: hashlib.sha256((bundle / name).read_bytes()).hexdigest()
            for name in card["parts"]
            if name != "card.json"  # the hash of the card itself, which may be left out
        }
        path.write_text(json.dumps(card))
        return bundle

    return seal


@pytest.fixture
def doctored(tiny_run, tmp_path, sealed):
    """A copy of the run whose recipes say something else, and whose card agrees with them."""

    def copy(**changes):
        run = shutil.copytree(tiny_run, tmp_path / "doctored" / "run")
        for path in (run / "recipe.yaml", run / "bundle" / "recipe.yaml"):
            tree = yaml.safe_load(path.read_text()) | changes
            path.write_text(yaml.safe_dump(tree, sort_keys=False))
        sealed(run / "bundle")
        return run

    return copy
