"""What needs no torch runs where importing it fails."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml

from delineate import verbs

ALLOWED = "duplicates_across_splits,near_duplicates_across_splits,patient_across_splits"

BLOCKED = """\
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "lightning", "timm", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""

STUB = """\
import types
import numpy as np
from delineate.core import Output

backend = types.ModuleType("delineate.inference.backends.run_torch")
backend.load_network = lambda folder, recipe, card, device: lambda pixels: Output(pixels[:, :1] * 4)
sys.modules[backend.__name__] = backend
"""

MAIN = """\
from delineate.cli import main
status = main(sys.argv[1:])
assert not {"torch", "lightning", "timm"} & {name.split(".")[0] for name in sys.modules}
sys.exit(status)
"""


def run(*words, program=BLOCKED + MAIN, **options):
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def polyps(tmp_path):
    """Six pictures with a bright disc, and their masks."""
    rows, columns = np.ogrid[:48, :64]
    for i in range(6):
        mask = np.uint8((rows - 20 - i) ** 2 + (columns - 30 + i) ** 2 <= 120)
        picture = np.full((48, 64, 3), 60, np.uint8) + 120 * mask[..., None]
        for name, pixels in (("images", picture), ("masks", mask)):
            (tmp_path / "polyps" / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "polyps" / name / f"{i}.png"), pixels)
    return tmp_path / "polyps"


def test_masks_are_judged(polyps, tmp_path):
    (tmp_path / "labels.yaml").write_text("{polyp: 1}")
    done = run(
        "evaluate", "--truth", polyps / "masks", "--predictions", polyps / "masks",
        "--labels", tmp_path / "labels.yaml", "-o", tmp_path / "judged",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "judged" / "report.html").is_file()


def test_data_are_audited(polyps):
    program = """
from delineate.audit import audit
from delineate.core import Label, LabelSet
from delineate.data import load_cases
from delineate.recipe import load_recipe
from pathlib import Path
Path("r.yaml").write_text('''
data: {folder: {root: ., images: images/*, masks: masks/*, split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {polyp: 1}
model: unet
loss: dice
''')
recipe = load_recipe("r.yaml")
from delineate.verbs._audit import audit_cases
print(len(audit_cases(load_cases(recipe), recipe.labels).findings) >= 0)
assert "torch" not in sys.modules
"""
    done = run(program=BLOCKED + program, cwd=polyps)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_a_bundle_of_another_engine_predicts_and_is_judged(tiny_run, polyps, tmp_path):
    out = tmp_path / "out"
    done = run("predict", tiny_run, polyps / "images", "-o", out, program=BLOCKED + STUB + MAIN)
    assert done.returncode == 0, done.stderr
    assert len(list(out.glob("*.png"))) == 6
    data = tmp_path / "other.yaml"
    data.write_text(
        yaml.safe_dump(
            {"data": {"folder": {"root": str(polyps), "images": "images/*", "masks": "masks/*"}}}
        )
    )
    judged = tmp_path / "judged"
    done = run(
        "evaluate", tiny_run, "--data", data, "-o", judged, program=BLOCKED + STUB + MAIN
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (judged / "report.html").is_file()


def test_a_bundle_for_torch_says_in_one_sentence_that_it_needs_it(tiny_run, polyps, tmp_path):
    done = run("predict", tiny_run, polyps / "images", "-o", tmp_path / "out")
    assert done.returncode == 2
    said = f"{tiny_run / 'bundle'}: its weights need torch, and torch is not installed. Install it with pip install"
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_a_bundle_is_used_where_nothing_of_its_training_is(
    tiny_recipe, polyps, tmp_path, monkeypatch
):
    """A copy, without the variables and the folder that its recipe names, in an empty environment."""
    monkeypatch.setenv("POLYPS", str(tmp_path / "training"))
    (tmp_path / "training").symlink_to(polyps)
    recipe = yaml.safe_load(tiny_recipe.read_text())
    recipe["data"] = {
        "folder": {
            "root": "${POLYPS}",
            "images": "images/*",
            "masks": "masks/*",
            "split": {"train": 0.5, "val": 0.25, "test": 0.25},
        }
    }
    recipe["audit"] = {"allow": ALLOWED.split(",")}
    recipe["trainer"] = {"epochs": 1, "batch_size": 2, "loggers": []}
    path = tmp_path / "home" / "r.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(recipe))
    run_folder = verbs.train(path, run=tmp_path / "home" / "run")
    moved = run_folder.rename(tmp_path / "elsewhere")
    (tmp_path / "training").unlink()
    path.unlink()
    plain = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "SYSTEMROOT")}
    options = {"program": "import sys\n" + STUB + MAIN, "env": plain, "cwd": polyps}
    for bundle, out in ((moved, "a"), (moved / "bundle", "b")):
        done = run("predict", bundle, "images", "-o", tmp_path / out, **options)
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / out).glob("*.png"))) == 6
    done = run(
        "evaluate", moved, "--images", "images", "--masks", "masks", "-o", tmp_path / "c",
        "--allow", ALLOWED, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c" / "report.html").is_file()
