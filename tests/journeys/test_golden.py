"""The results of a small run, stored: none may change in silence."""

import json
import os
from pathlib import Path

import pytest

from delineate import verbs

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny.json"


def test_results_are_those_of_last_time(tiny_recipe, tmp_path):
    """Trained in full precision; processors differ in the last digits, hence the tolerance."""
    overrides = [
        "trainer.precision=fp32",
        "trainer.epochs=4",
        "refine=[{remove_small_objects: {min_size: 4}}]",
    ]
    table = verbs.evaluate(
        verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "tiny" / "golden")
    )
    found = {label: {k: round(v, 4) for k, v in m.items()} for label, m in table.means().items()}
    if os.environ.get("DELINEATE_GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n")
    stored = json.loads(GOLDEN.read_text())
    assert found.keys() == stored.keys()
    for label, scores in stored.items():
        assert found[label] == pytest.approx(scores, rel=0.02, abs=0.01), (
            "make golden accepts the change"
        )
