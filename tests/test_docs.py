"""What the pages say can be done."""

import re
import shlex
from pathlib import Path

import pytest

from delineate.cli import _parser

HOME = Path(__file__).parents[1]
PAGES = sorted(
    [HOME / "README.md", HOME / "CONTRIBUTING.md", HOME / "SECURITY.md", *HOME.glob("docs/**/*.md")]
)


def commands():
    for page in PAGES:
        for line in page.read_text().splitlines():
            found = re.match(r"(?:    |\$ )(delineate .+?)(?:\s{2,}#.*|\s+# .*)?$", line)
            if found:
                yield pytest.param(found[1], id=f"{page.name}: {found[1][:40]}")


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_of_the_pages_is_one(command):
    words = shlex.split(command.replace("<", "").replace(">", ""))[1:]
    options = _parser().parse_args(words)
    recipe = getattr(options, "recipe", None)
    assert recipe is None or (HOME / recipe).exists() or recipe.startswith("my")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_the_pages_names_what_is_there(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        compile(block, page.name, "exec")
        imports = [line for line in block.splitlines() if line.startswith(("from ", "import "))]
        exec("\n".join(imports), {})
