import json
import subprocess
import sys

import pytest

import delineate
from delineate.cli import main

HELP = """
import sys
import delineate.cli
try:
    delineate.cli.main(["--help"])
except SystemExit:
    pass
print(*{"torch", "numpy", "cv2", "pydantic", "yaml"} & set(sys.modules))
"""


def test_help_imports_nothing_heavy():
    said = subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True, text=True)
    assert said.stdout.endswith("\n\n") or said.stdout.splitlines()[-1] == ""


def test_what_is_listed_can_be_imported():
    assert sorted(delineate.__all__) == delineate.__all__
    for name in delineate.__all__:
        assert getattr(delineate, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(delineate, "nothing")  # noqa: B009


@pytest.mark.parametrize(
    "what", ["models", "losses", "metrics", "augment", "formats", "trainer", "predict", "recipes"]
)
def test_list_shows_names_arguments_and_a_line(what, capsys):
    assert main(["list", what, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert entries
    for name, entry in entries.items():
        assert entry["summary"], name


def test_list_of_nothing(capsys):
    assert main(["list", "modles"]) == 2
    assert "did you mean 'models'" in capsys.readouterr().err
    assert main(["list"]) == 0
    assert "losses" in capsys.readouterr().out
