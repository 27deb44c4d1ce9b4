import pytest

from delineate.resolve import (
    CATALOGUES,
    FIRST,
    OWN,
    RENAMED,
    Call,
    RecipeError,
    build,
    check,
    names,
    resolve,
)


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_every_file_of_a_catalogue_holds_what_it_is_named_after(catalogue):
    found = names(catalogue)
    assert found
    for name in found:
        thing = resolve(catalogue, name)
        assert getattr(thing, "summary", None) or thing.__doc__, f"{catalogue}.{name} says nothing"


def test_a_near_miss_is_told_the_right_name():
    with pytest.raises(LookupError, match="did you mean 'remove_small_objects'"):
        resolve("refine", "remove_small_object")


def test_a_name_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_lab.py").write_text("def polish(strength: float = 1.0):\n    return strength\n")
    monkeypatch.chdir(tmp_path)
    assert build("refine", Call("my_lab:polish", {"strength": "2e-1"}, trust=OWN)) == 0.2
    with pytest.raises(RecipeError, match="has no 'polsh'"):
        check("refine", Call("my_lab:polsh", trust=OWN))
    with pytest.raises(RecipeError, match="no module 'my_lob'"):
        check("refine", Call("my_lob:polish", trust=OWN))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"min_sise": 3}, "did you mean 'min_size'"),
        ({"min_size": "big"}, "min_size is 'big'; expected a number"),
        ({}, "needs the argument 'min_size'"),
        ({"min_size": 3, "labels": 7}, "labels is 7"),
    ],
)
def test_arguments_are_held_against_the_signature(args, said):
    with pytest.raises(RecipeError, match=f"r.yaml:7: .*{said}"):
        check("refine", Call("remove_small_objects", args, "r.yaml:7"))


def test_values_are_converted_to_the_types_asked_for():
    assert check("refine", Call("remove_small_objects", {"min_size": "1e2"})) == {"min_size": 100.0}


def test_the_first_argument_needs_no_name():
    assert check("refine", Call("remove_small_objects", {FIRST: 4})) == {"min_size": 4.0}


def test_an_error_of_the_function_gets_the_place_it_was_written():
    with pytest.raises(RecipeError, match="r.yaml:3: pad: give either multiple or shape"):
        build("prepare", Call("pad", {}, "r.yaml:3"))


def test_what_the_program_gives_goes_only_where_it_is_asked_for():
    build("refine", Call("keep_largest_component"), labels=None)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_former_name_tells_the_present_one(old, new):
    catalogue, name = old
    assert new in names(catalogue)
    assert name not in names(catalogue)
    with pytest.raises(RecipeError, match=f"r.yaml:3: there is no '{name}' in .* called '{new}'"):
        check(catalogue, Call(name, where="r.yaml:3"))
