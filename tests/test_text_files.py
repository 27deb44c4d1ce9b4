"""Text is UTF-8 wherever it is read or written, whatever the locale says."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import delineate

SOURCE = sorted(Path(delineate.__file__).parent.rglob("*.py"))


def bare_texts(source: str) -> list[int]:
    """Lines that open, read or write text in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        method = isinstance(node.func, ast.Attribute)
        name = node.func.attr if method else getattr(node.func, "id", "")
        modes = node.args[:1] if method else node.args[1:2]
        mode = given.get("mode", modes[0] if modes else None)
        binary = isinstance(mode, ast.Constant) and "b" in str(mode.value)
        owner = getattr(getattr(node.func, "value", None), "id", "")
        text = (
            (name == "open" and not binary and owner not in ("Image", "gzip", "os"))
            or (name == "read_text" and not node.args)
            or (name == "write_text" and len(node.args) < 2)
            or (name in ("run", "Popen", "check_output") and "text" in given)
        )
        if text and "encoding" not in given:
            found.append(node.lineno)
    return found


def test_text_files_have_an_encoding():
    bare = {str(path): bare_texts(path.read_text(encoding="utf-8")) for path in SOURCE}
    assert {path: lines for path, lines in bare.items() if lines} == {}


def test_what_is_looked_for_is_found():
    bare = "path.read_text()\nopen(p)\np.open('w')\np.write_text(t)\nrun(words, text=True)\n"
    assert bare_texts(bare) == [1, 2, 3, 4, 5]
    assert not bare_texts("open(p, 'rb')\np.open('rb')\np.read_text(encoding='utf-8')\n")


def test_text_beyond_ascii_is_read_and_written_in_the_c_locale(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "# für Koloskopie\nname: naïve\n"
        "data: {phantom: {cases: 4, shape: [32, 32], split: {train: 1.0}}}\n"
        "labels: {polyp: {value: 1}}\nmodel: unet\nloss: dice\noptimizer: adamw\n",
        encoding="utf-8",
    )
    again = "import sys; from pathlib import Path; from delineate.recipe import load_recipe; "
    again += "load_recipe(sys.argv[1]).save(Path(sys.argv[2]))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "-c", again, str(recipe), str(tmp_path / "saved.yaml")],
        env={**os.environ, **plain},
        check=True,
    )
    assert "naïve" in (tmp_path / "saved.yaml").read_text(encoding="utf-8")
