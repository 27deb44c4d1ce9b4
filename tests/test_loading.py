"""How much is loaded with one name of a recipe: a reader opens as many files, besides the packages that hold them."""

import json
import subprocess
import sys

import pytest

from delineate.resolve import CATALOGUES, names

EACH = """
import importlib, json, sys
loaded = {}
for name in sys.argv[2:]:
    for module in [m for m in sys.modules if m.partition(".")[0] == "delineate"]:
        del sys.modules[module]
    importlib.import_module(f"{sys.argv[1]}.{name}")
    loaded[name] = [m for m in sys.modules if m.partition(".")[0] == "delineate"]
print(json.dumps(loaded))
"""


@pytest.mark.parametrize("catalogue", ["losses", "metrics"])
def test_one_of_them_loads_under_eight_of_our_files(catalogue):
    asked = [sys.executable, "-c", EACH, CATALOGUES[catalogue], *names(catalogue)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    loaded = json.loads(said)
    assert list(loaded) == names(catalogue)
    for name, files in loaded.items():
        assert f"{CATALOGUES[catalogue]}.{name}" in files
        assert len(files) < 8, (name, files)
