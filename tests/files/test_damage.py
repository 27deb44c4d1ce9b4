"""Damaged files of every format: refused, or read; never a crash, a hang, an error of another kind, or a wrong truth.

The formats are found by name. What a checksum covers is refused or reads equal, and so does what is truncated.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from delineate.resolve import names


def broken(formats, mutants, seed, folder):
    """The mutants that break the contract, in words."""
    script = Path(__file__).with_name("damage.py")
    command = [sys.executable, script, ",".join(formats), str(mutants), str(seed), folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    read = {how for count in found["counts"].values() for how in count}
    assert read >= {"refused", "equal"}  # else nothing was tested
    return found["broken"]


def test_damaged_files_of_every_format(tmp_path):
    assert broken(names("formats"), 12, 1, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("name", names("formats"))
def test_many_damaged_files(name, seed, tmp_path):
    assert broken([name], 1000, seed, tmp_path) == []
