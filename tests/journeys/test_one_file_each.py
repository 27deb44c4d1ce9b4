"""The tree is the catalogue: one more of anything is one more file, and nothing else is edited."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from delineate import verbs
from delineate.bundle import load_bundle, open_bundle
from delineate.core import Output
from delineate.data import load_cases
from delineate.recipe import load_recipe
from delineate.resolve import CATALOGUES
from delineate.verbs.list_names import list_names

HOME = Path(__file__).parents[2]

FILES = {
    ("tasks", "told_and_outlined"): '''
        """Every label outlined, and told of the image as a whole."""

        from dataclasses import dataclass, replace

        import numpy as np

        from delineate.core import Output
        from delineate.tasks.presence import Presence
        from delineate.tasks.regions import Regions


        def told_and_outlined(labels):
            """A sigmoid per label for its region and one for the image: a label nobody tells of is not outlined."""
            order = tuple(label.name for label in reversed(labels.inner_first))
            return ToldAndOutlined(Regions(labels, 0.5, order), Presence(labels))


        @dataclass(frozen=True)
        class ToldAndOutlined:
            outlined: Regions
            told: Presence

            @property
            def heads(self):
                return {**self.outlined.heads, **self.told.heads}

            @property
            def gives(self):
                return self.outlined.gives | self.told.gives

            def encode(self, truth):
                return replace(self.outlined.encode(truth), image=self.told.encode(truth).image)

            def read(self, output, grid):
                maps = self.outlined.read(output, grid)
                return replace(maps, image=self.told.read(output, grid).image)

            def decide(self, probabilities, geometry):
                prediction, told = (t.decide(probabilities, geometry) for t in (self.outlined, self.told))
                missing = [prediction.labels[n].value for n, there in told.present.items() if not there]
                classes = np.where(np.isin(prediction.classes, missing), 0, prediction.classes)
                return replace(prediction, classes=classes, present=told.present, scores=told.scores)
        ''',
    ("models", "two_heads"): '''
        """A small network with two heads."""

        from torch import nn

        from delineate.arguments import Count
        from delineate.core import Output


        def two_heads(*, channels, classes, image_classes, ndim, width: Count = 4):
            """Convolutions with dense logits, and image-level logits from their mean."""
            return TwoHeads(channels, classes, image_classes, ndim, width)


        class TwoHeads(nn.Module):
            def __init__(self, channels, classes, image_classes, ndim, width):
                super().__init__()
                conv = nn.Conv2d if ndim == 2 else nn.Conv3d
                self.body = nn.Sequential(conv(channels, width, 3, padding=1), nn.SiLU())
                self.dense = conv(width, classes, 1)
                self.image = nn.Linear(width, image_classes)

            def forward(self, pixels):
                maps = self.body(pixels)
                return Output(self.dense(maps), image=self.image(maps.flatten(2).mean(2)))
        ''',
    ("losses", "told"): '''
        """Squared error of what is told of an image."""


        def told(output, target):
            """The squared error of the image-level probabilities, where the truth is known."""
            logits, truth = output.image_logits, target.image
            if truth is None or logits.shape != truth.shape:
                raise ValueError("told is of image-level labels, and this task has none.")
            known = ~truth.isnan()
            error = (logits.sigmoid() - truth.nan_to_num()) * known
            return error.square().sum() / known.sum().clamp_min(1)
        ''',
    ("metrics", "jaccard_distance"): '''
        """Jaccard distance."""

        from delineate.metrics import Empty, traits
        from delineate.metrics.iou import iou


        @traits(lower_is_better=True, empty=Empty(truth=1, prediction=1, both=None))
        def jaccard_distance(prediction, truth):
            """One minus IoU."""
            return {label: 1 - score for label, score in iou(prediction, truth).items()}
        ''',
    ("refine", "clear_border"): '''
        """Clear the border."""

        import numpy as np

        from delineate.arguments import Count


        def clear_border(width: Count):
            """The outermost samples become background."""

            def step(prediction, image):
                inner = np.zeros(prediction.classes.shape, bool)
                inner[tuple(slice(width, -width) for _ in inner.shape)] = True
                return prediction.changed(prediction.classes * inner)

            return step
        ''',
    ("augment", "dimmed"): '''
        """Dimmed light."""

        from dataclasses import dataclass

        from delineate.arguments import Fraction
        from delineate.prepare.augment._part import Curve


        def dimmed(p: Fraction = 0.5):
            """Every value times one number from 0.5 to 1."""
            return Dimmed(p)


        @dataclass(frozen=True)
        class Dimmed:
            p: float

            def draw(self, rng, shape):
                if rng.random() >= self.p:
                    return None
                share = rng.uniform(0.5, 1)
                return Curve(lambda values: values * share)
        ''',
    ("audit", "small_images"): '''
        """Images that are small."""

        from delineate.audit._finding import finding
        from delineate.words import counted

        FINDS = {"small_images": "refuse"}


        def small_images(cases, labels):
            """Images of fewer than 5000 samples and more than 1000."""
            return finding(
                FINDS,
                "small_images",
                [((c.id,), "") for c in cases if c.image and 1000 < c.image.shape[0] * c.image.shape[1] < 5000],
                lambda n: counted(n, "small image"),
                "Find larger ones.",
            )
        ''',
    ("prepare", "square_root"): '''
        """Square roots."""

        from dataclasses import dataclass
        from typing import ClassVar

        import numpy as np


        def square_root():
            """The square root of every value, which lights up what is dark."""
            return SquareRoot()


        @dataclass(frozen=True)
        class SquareRoot:
            after_augment: ClassVar[bool] = True

            def apply(self, pixels):
                return np.sqrt(pixels.astype(np.float32))
        ''',
    ("predict", "quarter_turns"): '''
        """Test-time augmentation by quarter turns."""

        from dataclasses import replace
        from functools import partial

        import numpy as np

        from delineate.inference.wrappers._mean import mean_output


        def quarter_turns(network):
            """The mean of a network's logits over turns by 90 degrees in the plane of the last two axes."""
            return partial(_over_turns, network)


        def _over_turns(network, pixels):
            return mean_output((_turned(network, pixels, k) for k in range(4)), "quarter_turns")


        def _turned(network, pixels, k):
            output = network(np.ascontiguousarray(np.rot90(pixels, k, (-2, -1))))
            dense = None if output.dense is None else np.rot90(output.dense, -k, (-2, -1))
            return replace(output, dense=dense)
        ''',
}  # fmt: skip

RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 12, shape: [64, 64], split: {train: 0.5, val: 0.25, test: 0.25}}}
audit: {allow: [small_images]}
labels: {polyp: {value: 1, kind: thing}}
task: told_and_outlined
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, square_root]
augment: [flip, {dimmed: {p: 0.9}}]
model: {two_heads: {width: 6}}
loss: [dice, {told: {weight: 0.5}}]
predict: [quarter_turns]
refine: [{clear_border: {width: 2}}]
metrics: [jaccard_distance, dice]
trainer: {epochs: 1, batch_size: 3, device: cpu, loggers: [], monitor: val/jaccard_distance}
"""
CONTRACTS = {
    "tasks": "tests/tasks/test_contract.py",
    "models": "tests/models/test_contract.py",
    "losses": "tests/losses/test_contract.py",
    "metrics": "tests/metrics/test_metrics.py",
    "refine": "tests/refine/test_refine.py",
    "augment": "tests/prepare/augment/test_augment.py",
    "audit": "tests/audit/test_contract.py",
    "prepare": "tests/prepare/test_prepare.py",
    "predict": "tests/inference/test_wrappers_contract.py",
}


def text_of(kind, name):
    lines = FILES[kind, name].strip("\n").splitlines()
    return "\n".join(line[8:] for line in lines).rstrip() + "\n"


@pytest.fixture
def added(add_file, tmp_path, monkeypatch):
    """The recipe, in a program with one file more of each kind."""
    for kind, name in FILES:
        add_file(kind, name, text_of(kind, name))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "new.yaml"
    path.write_text(RECIPE)
    return path


def test_one_more_file_of_each_kind_is_checked_trained_judged_and_reported(added):
    findings = verbs.check(added)
    assert findings.problems == []
    assert any("small_images" in line for line in findings.lines)
    run = verbs.train(added)
    table = verbs.evaluate(run)
    means = table.means()
    assert 0 <= means["polyp"]["jaccard_distance"] <= 1
    page = (run / "report.html").read_text()
    assert "jaccard distance" in page.lower()
    assert "small_images" in page
    bundle = open_bundle(run)
    assert bundle.recipe.model.name == "two_heads"
    case = load_cases(load_recipe(added))["test"][0]
    predictor = load_bundle(run, device="cpu", keep_probabilities=True)
    prediction = predictor(case)
    assert prediction.scores["presence of polyp"] > 0
    assert not prediction.classes[:2].any()
    pixels = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
    turned = predictor.network(np.rot90(pixels, 1, (2, 3)))
    assert np.rot90(turned.dense, -1, (2, 3)) == pytest.approx(
        predictor.network(pixels).dense, abs=1e-5
    )


def test_a_wrapper_is_any_network_that_calls_another(added, tmp_path):
    """It wraps the network of a predictor, or another wrapper."""

    class Doubled:
        def __init__(self, network):
            self.network = network

        def __call__(self, pixels):
            output = self.network(pixels)
            return Output(2 * output.logits, image=output.image)

    run = verbs.train(added)
    predictor = load_bundle(run, device="cpu", flips=(0,))
    case = load_cases(load_recipe(added))["test"][0]
    doubled = replace(predictor, network=Doubled(predictor.network))
    assert np.array_equal(doubled(case).classes, predictor(case).classes)


def test_what_is_refused_by_a_check_of_ones_own_is_refused_until_it_is_allowed(added):
    with pytest.raises(ValueError, match=r"small_images: 12 small images.*allow"):
        verbs.train(added, overrides=["audit.allow=[]"])


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_it_is_listed_and_in_the_reference(kind, name, added):
    (entry,) = (e for e in list_names(kind) if e.name == name)
    assert entry.summary.endswith(".")
    spec = importlib.util.spec_from_file_location("pages", HOME / "docs" / "make_reference.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    assert f"\n## {name}\n" in pages.page(kind)


@pytest.mark.slow
def test_in_a_copy_of_the_program_each_keeps_the_contract_of_its_kind(tmp_path):
    """The contract tests as they are, of a copy of src/delineate that differs in these new files alone."""
    source = shutil.copytree(HOME / "src" / "delineate", tmp_path / "src" / "delineate")
    for kind, name in FILES:
        folder = source / Path(*CATALOGUES[kind].split(".")[1:])
        assert not (folder / f"{name}.py").exists()
        (folder / f"{name}.py").write_text(text_of(kind, name))
    new = " or ".join(name for _, name in FILES)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-rA",
        "--no-header",
        "-k",
        new,
    ]
    done = subprocess.run(
        [*words, *CONTRACTS.values(), "tests/test_signatures.py"],
        cwd=HOME,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    passed = [line for line in done.stdout.splitlines() if line.startswith("PASSED")]
    for kind, name in FILES:
        assert sum(CONTRACTS[kind] in line and name in line for line in passed) >= 1, name
        assert any("test_signatures" in line and f"{kind}-{name}" in line for line in passed), name
