import pytest
import torch

from delineate.core import Output, Target
from delineate.losses.structure import structure


def published_case():
    """The pixels of the reference values: 2 sin(0.013 i) against a disc and a box."""
    logits = 2 * torch.sin(0.013 * torch.arange(2 * 64 * 64, dtype=torch.float64))
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = (y - 32) ** 2 + (x - 32) ** 2 <= 15**2
    box = (y >= 10) & (y < 20) & (x >= 40) & (x < 60)
    return logits.reshape(2, 1, 64, 64), torch.stack([disc, box]).long()


@pytest.mark.parametrize(("weighted_bce", "value"), [(True, 1.7280006866), (False, 1.7303585041)])
def test_reference_values(weighted_bce, value):
    logits, classes = published_case()
    found = structure(Output(logits), Target(classes), weighted_bce=weighted_bce)
    assert float(found) == pytest.approx(value, abs=2e-6)


def test_right_is_cheaper_than_wrong_in_three_axes_and_several_channels():
    classes = torch.randint(0, 3, (2, 6, 7, 8), generator=torch.Generator().manual_seed(0))
    right = 9 * torch.nn.functional.one_hot(classes, 3).movedim(-1, 1).float() - 4.5
    losses = [structure(Output(x), Target(classes), width=3) for x in (right, -right)]
    assert losses[0] < 0.1 < 5 < losses[1]


def test_invalid_pixels_take_no_part():
    logits, classes = published_case()
    valid = torch.ones_like(classes, dtype=torch.bool)
    valid[:, :20] = False
    changed = logits.clone()
    changed[:, :, :20] += 3
    same = [structure(Output(x), Target(classes, valid)) for x in (logits, changed)]
    assert same[0] == pytest.approx(float(same[1]))


def test_an_even_window_is_refused():
    logits, classes = published_case()
    with pytest.raises(ValueError, match="odd"):
        structure(Output(logits), Target(classes), width=30)
