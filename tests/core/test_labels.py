import pytest

from delineate.core import Label, LabelSet


def test_iterating_leaves_out_what_is_ignored():
    labels = LabelSet((Label("lung", 1), Label("device", 255, "ignore")))
    assert labels.names == ("lung",)
    assert labels.values == (1,)
    assert labels.ignored == (255,)
    assert len(labels) == 1


def test_colour_as_bytes():
    assert Label("polyp", 1, colour="#e4572e").rgb == (0xE4, 0x57, 0x2E)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Label("liver", 0), "0 is background"),
        (lambda: Label("all", 1), "scores of the whole image"),
        (lambda: Label("liver", 1, colour="red"), "#rrggbb"),
        (lambda: LabelSet((Label("a", 1), Label("b", 1))), "share the value 1"),
        (lambda: LabelSet((Label("a", 1), Label("a", 2))), "share the name a"),
        (lambda: LabelSet((Label("a", 1, "ignore"),)), "no label to find"),
    ],
)
def test_nonsense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_an_unknown_name_lists_the_known():
    with pytest.raises(KeyError, match="liver"):
        LabelSet((Label("liver", 1),))["spleen"]
