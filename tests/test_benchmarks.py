"""What the benchmarks measure is what they say."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TRAIN_STEP = BENCHMARKS / "train_step.py"


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_imports_what_is_there(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.main)


PEAK = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("train_step", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
held = bytearray(100 * 2**20)
for i in range(0, len(held), 4096):
    held[i] = 1
del held
print(module._memory_mb()["peak"])
"""


def test_the_peak_of_memory_is_that_of_the_process_alone():
    held = np.ones(
        100 * 2**20
    )  # 800 MB, which a child of this process is charged with by getrusage
    command = [sys.executable, "-c", PEAK, str(TRAIN_STEP)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert held.nbytes / 2**20 == 800
    assert 100 < float(said) < 300


def test_a_machine_without_proc_has_a_peak_too(monkeypatch):
    spec = importlib.util.spec_from_file_location("train_step", TRAIN_STEP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.Path, "is_file", lambda self: False)
    found = module._memory_mb()
    assert found["now"] == found["peak"] > 10
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert module._memory_mb()["peak"] < found["peak"]


def test_the_path_by_hand_gives_the_masks_of_the_predictor(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("path", BENCHMARKS / "path.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SECONDS", 0.0)
    scenes = dict(module._scenes(tmp_path))
    for name in ("photograph to 352", "scan 40 x 50 x 40"):
        found = module._measured(scenes[name], ("by hand",))
        assert found["agreement with by hand"] > 0.998
        steps = sum(step["median"] for step in found["step ms"].values())
        assert steps <= 2 * found["ms"]["ours"]["median"]
