"""Every recipe loads, and trains two steps on phantoms in place of its data."""

import json
from pathlib import Path

import pytest
import yaml

from delineate import verbs

HOME = Path(__file__).parents[2]
RECIPES = sorted([*HOME.glob("recipes/**/*.yaml"), *HOME.glob("src/delineate/**/*.yaml")])
SCENES = {
    "polyp": "endoscopy",
    "neoplastic": "endoscopy",
    "lung": "chest",
    "pneumothorax": "chest",
    "liver": "abdomen",
}


def test_all_recipes_were_found():
    assert {path.stem for path in RECIPES} >= {
        "chest-presence-quick",
        "demo",
        "kvasir-unetplusplus",
        "neopolyp-deeplabv3plus-quick",
        "neopolyp-deeplabv3plus-regnetx320",
        "neopolyp-deeplabv3plus-resnet50",
        "neopolyp-emcad",
        "neopolyp-emcad-quick",
        "neopolyp-pranet",
        "neopolyp-pranet-quick",
        "neopolyp-unet",
        "neopolyp-unet-quick",
        "neopolyp-unetplusplus",
        "neopolyp-unetplusplus-quick",
        "organs-quick",
        "polyp-emcad",
        "polyp-emcad-quick",
        "polyp-pranet",
        "polyp-pranet-quick",
        "polyp-quick",
        "rsna-organs",
        "rsna-organs-finetune",
        "rsna-organs-png",
    }
    for path in RECIPES:
        first, second, *_ = path.read_text().splitlines()
        assert first.startswith("# delineate "), f"{path} does not open with its command"
        assert second.startswith("# "), f"{path} does not say what it costs or reaches"


ORGANS = ["liver", "spleen", "left_kidney", "right_kidney", "bowel", "lesion"]
"""Labels of a scene, for recipes whose own labels no scene has."""


SMALLER = {
    "tu-regnetx_320": "tu-regnetx_002",
    "emcad": "mobilenetv3_small_100",
    "pranet": "mobilenetv3_small_100",
}
"""A small encoder in place of a large one, or of a model's default."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains_two_steps(path, tmp_path):
    tree = yaml.safe_load(path.read_text())
    volumes = any(
        isinstance(step, dict) and step.get("orient") == "SPL" for step in tree["prepare"]
    )
    drawn = list(tree["labels"]) if next(iter(tree["labels"])) in SCENES else ORGANS
    scene = SCENES[drawn[0]] + "_3d" * volumes
    names = dict(zip(tree["labels"], drawn, strict=False))
    shape = [32, 32, 32] if volumes else [64, 64]  # multiples of 32, as encoders need
    steps = [next(iter(step)) if isinstance(step, dict) else step for step in tree["prepare"]]
    # slices as photographs: the phantom's are in Hounsfield units
    unwindowed = scene.startswith("abdomen") and steps[0] == "channels"
    (model,) = [name for name in tree["model"] if name != "init_from"]
    fetched = "pretrained" in tree["model"][model]
    encoder = tree["model"][model].get("encoder", model)
    overrides = [
        f"data.phantom.scene={scene}",
        "data.phantom.cases=12",
        f"data.phantom.shape={shape}",
        "data.phantom.split={train: 0.5, val: 0.25, test: 0.25}",
        *([f"model.{model}.pretrained=null"] if fetched else []),
        *([f"model.{model}.encoder={SMALLER[encoder]}"] if encoder in SMALLER else []),
        *(["model.init_from=null"] if "init_from" in tree["model"] else []),
        f"labels={json.dumps({names[old]: label for old, label in tree['labels'].items()})}",
        *(
            [f"prepare={json.dumps([{'window': 'abdomen'}, *tree['prepare']])}"]
            if unwindowed
            else []
        ),
        *(f"prepare.{step}.shape={shape}" for step in steps if step in ("resize", "crop")),
        "trainer.epochs=1",
        "trainer.max_time=null",
        "trainer.batch_size=3",
        "trainer.accumulate=1",
        "trainer.ema=0.9",
        "trainer.oversample_foreground=null",
        "trainer.loggers=[]",
    ]
    run = verbs.train(path, overrides=overrides, run=tmp_path / path.stem / "run")
    rows = (run / "metrics.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[0].startswith("epoch,train/loss,val/")
    assert json.loads((run / "bundle" / "card.json").read_text())["training"]["epoch"] == 1
    assert (run / "report.html").stat().st_size > 1000
