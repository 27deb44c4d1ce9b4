"""What the pages say can be done."""

import re
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from delineate.cli import _parser
from delineate.data import load_cases
from delineate.recipe import load_recipe
from delineate.verbs.train import check_calls

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


def test_the_recipe_with_image_level_labels_runs_as_written(tmp_path):
    page = (HOME / "docs/how-to/your-own-data.md").read_text()
    (block,) = (
        textwrap.dedent(block)
        for block in re.findall(r"\n\n((?:    .*\n)+)", page)
        if "present:" in block and "task:" in block
    )
    (tmp_path / "my-recipe.yaml").write_text(block)
    home = tmp_path / "data/my-study"
    (home / "images").mkdir(parents=True)
    rows = ["id,patient,device_or_markup,effusion"]
    for i in range(30):
        Picture.fromarray(np.full((24, 32), i, np.uint8)).save(home / f"images/{i:02}.jpg")
        rows.append(f"{i:02},p{i // 2},{'yes' if i % 10 == 0 else 'no'},{('1', '0', '')[i % 3]}")
    (home / "cases.csv").write_text("\n".join(rows) + "\n")
    recipe = load_recipe(tmp_path / "my-recipe.yaml")
    splits = load_cases(recipe)
    assert {name: len(part) for name, part in splits.items()} == {"train": 18, "val": 6, "test": 6}
    for part in splits.values():
        assert any(case.truth.shows("device") for case in part)
        assert not any(case.truth.outlined for case in part)
    check_calls(recipe)
