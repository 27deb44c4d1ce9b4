import inspect

import pytest

from delineate.resolve import names, resolve


@pytest.mark.parametrize("name", names("data"))
def test_every_layout_says_what_it_is_and_takes_what_the_program_gives(name):
    layout = resolve("data", name)
    parameters = inspect.signature(layout).parameters
    assert inspect.getdoc(layout)
    assert {"labels", "seed"} <= set(parameters)
    assert all(p.annotation is not p.empty for p in parameters.values())
    assert inspect.signature(layout).return_annotation == "Splits"


def test_the_layouts_are_found():
    assert "folder" in names("data")
