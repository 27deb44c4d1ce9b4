"""Several processes train one model."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_two_processes_make_one_run(tiny_recipe, tmp_path):
    run = tmp_path / "tiny" / "two"
    settings = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.batch_size=2"]
    words = [sys.executable, "-m", "delineate.cli", "train", str(tiny_recipe), "-o", str(run)]
    for setting in settings:
        words += ["--set", setting]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len((run / "metrics.csv").read_text().splitlines()) == 4
    assert (run / "report.html").exists()
    assert done.stdout.count("test: 3 cases") == 1
