"""What README and the how-to pages show is run, block by block, on drawn data at a desk that has what they name.

Blocks are fenced or indented by four spaces: commands, Python, and YAML. YAML and Python belong to the file that the
line before them names (`centre-b.yaml`); YAML without one is a piece of the recipe at hand. A block that cannot be run
says so on the line before it: `<!-- not run: needs a GPU -->`.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import isfunction, signature
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from delineate import verbs
from delineate.cli import main
from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.data import load_cases
from delineate.files import write_image, write_mask
from delineate.recipe import load_recipe
from delineate.verbs.train import check_calls

HOME = Path(__file__).parents[2]
PAGES = [HOME / "README.md", *sorted(HOME.glob("docs/how-to/*.md"))]
TIME = "2026-11-21_09-30-00"
PLACEHOLDERS = {
    "<time>": TIME, "<run>": f"outputs/polyp-quick/{TIME}", "<run-a>": "outputs/a", "<run-b>": "outputs/b",
}  # fmt: skip
NOT_RUN = 0
"""Blocks that say of themselves that they are not run."""

RUNS = {
    "classify-images.md": f"outputs/chest-presence-quick/{TIME}",
    "polyps.md": f"outputs/neopolyp-unet/{TIME}",
    "slices.md": f"outputs/hippocampus-slices/{TIME}",
}
"""What <run> and <time> stand for on a page that is about another kind of run."""

SMALL = {"abdomen-regions": {"cases": 16}, "chest-presence-quick": {"cases": 40}}
"""Recipes that pages train, and how many cases are drawn for that."""

QUICKLY = ["--set", "trainer.epochs=1"]
RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 16, shape: [64, 64], split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]
model: {unet: {features: [4, 8]}}
loss: dice
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 1, batch_size: 4, device: cpu, loggers: []}
metrics: [dice, iou]
"""


TWO_CLASSES = RECIPE.replace(
    "{polyp: {value: 1, kind: thing}}",
    "{neoplastic: {value: 1, kind: thing}, non_neoplastic: {value: 2, kind: thing}}",
)


@dataclass(frozen=True)
class Block:
    """One block of a page; `file` is named in the line before it, `skipped` why it is not run."""

    kind: str
    text: str
    file: str
    skipped: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    shown = r"^```(\w+)\n([\s\S]*?)^```|((?:^    .*\n)+(?:\n(?:^    .*\n)+)*)"
    for found in re.finditer(shown, text, re.MULTILINE):
        before = text[: found.start()].rstrip().splitlines()
        last = before[-1] if before else ""
        marker = re.fullmatch(r"<!-- not run: (.+?) -->", last.strip())
        language, fenced, indented = found.groups()
        body = fenced or "\n".join(line[4:] for line in indented.strip("\n").splitlines()) + "\n"
        kind = language or ("bash" if re.match(r"(delineate|make) ", body) else "yaml")
        files = re.findall(r"`([\w-]+\.(?:yaml|json|py))`", last)
        yield Block(kind, body, files[-1] if files else "", marker[1] if marker else "")


def test_blocks_that_are_not_run_are_counted():
    assert sum(bool(block.skipped) for page in PAGES for block in blocks(page)) == NOT_RUN
    kinds = {block.kind for page in PAGES for block in blocks(page)}
    assert kinds <= {"bash", "python", "yaml"}, "a block of another kind is not looked at"


def write_pairs(
    cases, images: Path, masks: Path, name: str, value: int = 255, suffix: str = ".jpg"
):
    masks.mkdir(parents=True, exist_ok=True)
    for i, case in enumerate(cases):
        write_image(case.image, images / f"{name.format(i)}{suffix}")
        mask = case.truth.mask("polyp").astype(np.uint8) * value
        cv2.imwrite(str(masks / f"{name.format(i)}.png"), mask)


VOLUMES = """\
data: {phantom: {scene: abdomen_3d, cases: 6, shape: [16, 24, 24], split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {left_kidney: {value: 1}, right_kidney: {value: 2}}
prepare: [{orient: SPL}, {window: {level: 50, width: 400}}]
slices: {axes: [0], neighbours: 1}
model: {unet: {features: [4, 8]}}
loss: dice
trainer: {epochs: 1, batch_size: 8, device: cpu, loggers: []}
"""


def write_scans(desk: Path, write_series):
    """Scans of four patients in NIfTI with their masks, and a CT series."""
    labels = LabelSet((Label("liver", 1), Label("spine", 2)))
    for i in range(4):
        pixels = np.random.default_rng(i).integers(-1000, 1000, (1, 5, 12, 10), np.int16)
        classes = (pixels[0] > 500).astype(np.uint8)
        classes[2, 3:5, 3:5] = 2
        grid = Geometry.in_patient(pixels.shape[1:], np.eye(4)[[2, 1, 0, 3]])
        write_image(Image(pixels, grid), desk / f"scans/imagesTr/liver_{i}.nii.gz")
        write_mask(Segmentation(classes, labels, grid), desk / f"scans/labelsTr/liver_{i}.nii.gz")
    write_series(desk / "ct-series", pixels[0])


@pytest.fixture(scope="session")
def laid(tmp_path_factory, write_series):
    """A desk with all that the pages name: a run and copies of it, photographs, masks of three labels, two studies."""
    desk = tmp_path_factory.mktemp("desk")
    for name in ("recipes/polyp-quick.yaml", "my.yaml", "my-recipe.yaml"):
        (desk / name).parent.mkdir(exist_ok=True)
        (desk / name).write_text(RECIPE)
    for name, few in SMALL.items():
        tree = yaml.safe_load((HOME / f"recipes/{name}.yaml").read_text())
        tree["data"]["phantom"] |= {**few, "shape": [64, 64]}
        tree["trainer"] |= {"device": "cpu", "loggers": []}
        (desk / f"recipes/{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    ours = load_cases(load_recipe(desk / "my.yaml", ["seed=7", "data.phantom.cases=24"]))
    drawn = [case for split in ours.values() for case in split]
    write_pairs(
        drawn[:8], desk / "data/centre-b/images", desk / "data/centre-b/masks", "patient{}_a"
    )
    write_pairs(drawn[:8], desk / "centre-b/images", desk / "centre-b/masks", "b{}", suffix=".png")
    write_pairs(
        drawn[8:20], desk / "data/my-study/images", desk / "data/my-study/masks", "patient{}_1"
    )
    facts = [f"patient{i}_1,p{i},{i % 2},{i % 3 == 0:d}\n" for i in range(12)]
    (desk / "data/my-study/cases.csv").write_text(
        "id,patient,device_or_markup,effusion\n" + "".join(facts)
    )
    write_pairs(drawn[20:23], desk / "photos", desk / "unused", "photo{}")
    shutil.copy(desk / "photos/photo0.jpg", desk / "photo.jpg")
    write_pairs(drawn[:6], desk / "theirs/images", desk / "theirs/masks", "t{}")
    rng = np.random.default_rng(0)
    for folder in ("masks", "theirs", "labelsTs", "nnunet-out", "images"):
        (desk / folder).mkdir(exist_ok=True)
        for i in range(4):
            parts = np.kron(rng.integers(0, 4, (4, 4), np.uint8), np.ones((8, 8), np.uint8))
            cv2.imwrite(str(desk / folder / f"case{i}.png"), parts)
    (desk / "labels.yaml").write_text(
        "labels: {liver: 1, spleen: 2, lesion: {value: 3, kind: thing}}\n"
    )
    labels = {"background": 0, "liver": 1, "spleen": 2, "lesion": 3}
    (desk / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".png"}))
    write_scans(desk, write_series)
    run = verbs.train(desk / "recipes/polyp-quick.yaml", run=desk / "outputs/polyp-quick" / TIME)
    centre = desk / "centre-b"
    verbs.evaluate(run, images=centre / "images", masks=centre / "masks", values={"polyp": 255})
    chest = desk / "recipes/chest-presence-quick.yaml"
    films = load_cases(load_recipe(chest))["test"][:2]
    for i, case in enumerate(films):
        write_image(case.image, desk / f"films/film{i}.png")
    verbs.train(chest, overrides=QUICKLY[1:], run=desk / RUNS["classify-images.md"])
    neopolyp = desk / "recipes/neopolyp-unet.yaml"
    neopolyp.write_text(TWO_CLASSES)
    for i, case in enumerate(load_cases(load_recipe(neopolyp))["test"]):
        write_image(case.image, desk / f"data/bkai/test/frame{i}.jpeg")
    (desk / "data/bkai/train_gt").mkdir()
    blue_green_red = np.array([(0, 0, 0), (0, 0, 255), (0, 255, 0)], np.uint8)
    for i, case in enumerate(load_cases(load_recipe(neopolyp))["train"]):
        write_image(case.image, desk / f"data/bkai/train/polyp{i}.jpeg")
        mask = blue_green_red[case.truth.classes]
        cv2.imwrite(str(desk / f"data/bkai/train_gt/polyp{i}.jpeg"), mask)
    verbs.train(neopolyp, overrides=QUICKLY[1:], run=desk / RUNS["polyps.md"])
    volumes = desk / "recipes/hippocampus-slices.yaml"
    volumes.write_text(VOLUMES)
    (scan, *_) = load_cases(load_recipe(volumes))["test"]
    write_image(scan.image, desk / "scan.nii.gz")
    verbs.train(volumes, overrides=QUICKLY[1:], run=desk / RUNS["slices.md"])
    for copy in (
        "a",
        "b",
        f"a/{TIME}",
        f"b/{TIME}",
        "fold1",
        "fold2",
        "ours",
        "nnunet",
        f"unet/{TIME}",
        f"unetplusplus/{TIME}",
        f"mine/{TIME}",
    ):
        shutil.copytree(run, desk / "outputs" / copy)
    return desk


@pytest.fixture
def desk(laid, tmp_path, monkeypatch, sealed):
    """A copy of it to work at; the run `mine` was trained with a loss of the user's own."""
    here = shutil.copytree(laid, tmp_path / "desk")
    mine = here / "outputs/mine" / TIME
    for path in (mine / "recipe.yaml", mine / "bundle/recipe.yaml"):
        tree = yaml.safe_load(path.read_text()) | {
            "loss": [{"my_lab:recall_weighted": {"power": 1.5}}]
        }
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
    sealed(mine / "bundle")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(here)
    yield here
    sys.modules.pop("my_lab", None)


def run_commands(text):
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] == "make":  # that the target is there is all that is asked
            assert not words or f"\n{words[1]}:" in (HOME / "Makefile").read_text()
            continue
        for placeholder, there in PLACEHOLDERS.items():
            words = [word.replace(placeholder, there) for word in words]
        assert words[0] == "delineate", line
        fresh = words[1] == "train" and "--resume" not in words
        fitted = ["--folds", "2", "--network-time", "1s"] if words[1:3] == ["refine", "fit"] else []
        assert main(words[1:] + (QUICKLY if fresh else fitted)) == 0, line


def run_python(text, run=PLACEHOLDERS["<run>"]):
    for placeholder, there in PLACEHOLDERS.items():
        text = text.replace(placeholder, there)
    names = {"__name__": "page"}
    exec(compile(text, "page", "exec"), names)
    for function in [value for value in names.values() if isfunction(value)]:
        if list(signature(function).parameters) == ["run"]:
            function(run)


def run_yaml(text, file, recipe):
    piece = yaml.safe_load(text)
    assert isinstance(piece, dict)
    if file:
        Path(file).write_text(text)
        return
    recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | piece, sort_keys=False))
    check_calls(load_recipe(recipe))


def test_a_block_that_would_fail_is_found(desk):
    with pytest.raises(AssertionError):
        run_commands("delineate predict outputs/nothing photos/ -o predictions/")
    with pytest.raises(ValueError, match="no 'dise' in losses"):
        run_yaml("loss: dise", "", desk / "my.yaml")


LONG = {
    "README.md", "judge-any-masks.md", "stop-and-go-on.md", "validate-on-other-data.md", "your-own-loss.md",
}  # fmt: skip
"""Pages that take more than a few seconds."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.name, marks=[pytest.mark.slow] if p.name in LONG else []) for p in PAGES],
)
def test_what_a_page_shows_runs(page, desk, capfd):
    shown = [block for block in blocks(page) if not block.skipped]
    named = "my-recipe.yaml" if any("my-recipe.yaml" in b.text for b in shown) else "my.yaml"
    for block in shown:  # files that the page shows are there, wherever it shows them
        if block.kind == "yaml" and block.file:
            run_yaml(block.text, block.file, desk / named)
        elif block.kind == "python" and block.file:
            Path(block.file).write_text(block.text)
    for block in shown:
        if block.kind == "bash":
            run_commands(block.text)
        elif block.kind == "python":
            run_python(block.text, RUNS.get(page.name, PLACEHOLDERS["<run>"]))
        elif not block.file:
            run_yaml(block.text, "", desk / named)
