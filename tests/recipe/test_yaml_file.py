import re
import time
from pathlib import Path

import pytest

import delineate
from delineate.recipe.yaml_file import MOST_BYTES, read_yaml
from delineate.resolve import RecipeError

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def read(tmp_path):
    def reading(text: str, name: str = "r.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return read_yaml(path)

    return reading


def test_what_is_written_and_where(read):
    tree, places = read("a: 1\nb:\n  - c\n  - d: {e: 2}\n")
    assert tree == {"a": 1, "b": ["c", {"d": {"e": 2}}]}
    assert {place: where.rpartition(":")[2] for place, where in places.items()} == {
        (): "1", ("a",): "1", ("b",): "2", ("b", 0): "3", ("b", 1): "4", ("b", 1, "d"): "4",
        ("b", 1, "d", "e"): "4",
    }  # fmt: skip


def test_an_anchor_may_be_used_again(read):
    tree, _ = read("a: &a {x: 1}\nb: *a\nc: {<<: *a, x: 2}\n")
    assert tree == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 2}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "r.yaml:5: holds more than 50,000 values"),
        ("a: 1\nb: &b [*b]", r"r.yaml:2: the alias \*b is inside its own anchor"),
        ("a: &a {b: {c: *a}}", r"the alias \*a is inside its own anchor"),
        ("a: " + "[" * 100_000, "r.yaml:1: nested more than 40 deep"),
        ("{a: " * 3000, "nested more than 40 deep"),
        (
            "a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99)),
            "nested more than 40 deep",
        ),
        ("- 1\n" * 240_000, "r.yaml:50000: holds more than 50,000 values"),
        ("a: " + "9" * 6000, "r.yaml:1: '9{60}' cannot be read"),
        ("a: 0x" + "f" * 6000, "a whole number that is too large"),
        ("a: 1\nb: 2001-99-99", "r.yaml:2: '2001-99-99' cannot be read"),
        ("a: 0b_", "'0b_' cannot be read"),
        ("? [a]\n: b", "r.yaml:1: a key is a list or a mapping"),
        ("a: 1\na: 2", "r.yaml:2: 'a' is written twice"),
        ("a: \x00", "not valid YAML: unacceptable character"),
        ("a: !!python/object/apply:os.getcwd []", "r.yaml:1: not valid YAML: could not determine"),
        ("a: [1", "not valid YAML"),
        ("a: 1\n---\nb: 2", "r.yaml:2: not valid YAML: but found another document"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_what_goes_beyond_the_bounds_is_refused_within_seconds(text, said, read):
    begun = time.monotonic()
    with pytest.raises(RecipeError, match=said):
        read(text)
    assert time.monotonic() - begun < 20


def test_a_file_that_is_too_large_is_not_read(read):
    with pytest.raises(RecipeError, match=r"r.yaml: has 1.0 MB; expected at most 1 MB"):
        read("#" * (MOST_BYTES + 1))


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(RecipeError, match="r.yaml: not valid YAML: not UTF-8 text"):
        read_yaml(tmp_path / "r.yaml")


def test_yaml_is_read_here_only():
    """Another reader would have no bounds, and would say of a slip neither the file nor the line."""
    home = Path(delineate.__file__).parent
    readers = re.compile(r"yaml\.(\w*load\w*|compose\w*|parse|scan|\w*Loader)\b|from yaml\b")
    found = [
        p.relative_to(home).as_posix()
        for p in home.rglob("*.py")
        if readers.search(p.read_text("utf-8"))
    ]
    assert found == ["recipe/yaml_file.py"]
