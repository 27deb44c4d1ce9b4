import pytest
import torch
from torch.nn import functional as F

from delineate.core import Output, Target
from delineate.losses import UnfitError
from delineate.losses.structure import _local_mean, structure


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
    assert float(found) == pytest.approx(value, abs=1e-9)


def test_right_is_cheaper_than_wrong_in_three_axes_and_several_channels():
    classes = torch.randint(0, 3, (2, 6, 7, 8), generator=torch.Generator().manual_seed(0))
    right = 9 * torch.nn.functional.one_hot(classes, 3).movedim(-1, 1).float() - 4.5
    losses = [structure(Output(x), Target(classes), width=3) for x in (right, -right)]
    assert losses[0] < 0.1 < 5 < losses[1]


def test_several_labels_are_each_against_the_rest_of_the_softmax():
    """The background's channel learns too, since the prediction compares all channels."""
    torch.manual_seed(0)
    logits = (3 * torch.randn(2, 4, 9, 8, dtype=torch.float64)).requires_grad_()
    classes = torch.randint(4, (2, 9, 8))
    soft = logits.softmax(1)[:, 1:]
    each = [
        structure(
            Output((soft[:, [c]] / (1 - soft[:, [c]])).log()), Target((classes == c + 1).long()), width=5
        )
        for c in range(3)
    ]  # fmt: skip
    found = structure(Output(logits), Target(classes), width=5)
    torch.testing.assert_close(found, torch.stack(each).mean())
    (slope,) = torch.autograd.grad(found, logits)
    assert slope[:, 0].abs().sum() > 0


def test_labels_that_may_overlap_are_each_by_their_sigmoid():
    torch.manual_seed(0)
    logits, regions = torch.randn(2, 3, 9, 8), torch.randint(2, (2, 3, 9, 8))
    each = [structure(Output(logits[:, [c]]), Target(regions[:, c]), width=5) for c in range(3)]
    found = structure(Output(logits), Target(regions=regions), width=5)
    torch.testing.assert_close(found, torch.stack(each).mean())


@pytest.mark.parametrize("width", [1, 3, 5, 15, 31, 101])
@pytest.mark.parametrize("shape", [(40, 33), (1, 9), (3, 20, 17), (1, 20, 17)])
def test_the_local_mean_is_that_of_average_pooling(shape, width):
    torch.manual_seed(0)
    maps = (torch.rand(2, 2, *shape, dtype=torch.float64) < 0.5).double()
    window = [1 if n == 1 else width for n in shape]
    pool = F.avg_pool2d if len(shape) == 2 else F.avg_pool3d
    sides = [w // 2 for w in reversed(window) for _ in range(2)]
    theirs = pool(F.pad(maps, sides), window, stride=1)
    torch.testing.assert_close(_local_mean(maps, width), theirs)


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


def test_the_union_of_labels_is_one_label_against_the_background():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 20, 24, dtype=torch.float64, requires_grad=True)
    classes = torch.randint(3, (2, 20, 24))
    valid = torch.rand(2, 20, 24) > 0.2
    joined = torch.log(logits.softmax(1)[:, 1:].sum(1)) - torch.log(logits.softmax(1)[:, 0])
    of_union = structure(
        Output(joined[:, None]), Target((classes > 0).long(), valid=valid), width=5
    )
    found = structure(Output(logits), Target(classes, valid=valid), width=5, union=True)
    torch.testing.assert_close(found, of_union)
    found.backward()
    assert logits.grad is not None
    assert (logits.grad.abs().amax(dim=(0, 2, 3)) > 0).all(), "every channel learns"
    one = logits[:, :1].detach()
    assert structure(Output(one), Target(classes.clamp(max=1)), union=True) == structure(
        Output(one), Target(classes.clamp(max=1))
    )


def test_the_union_of_labels_that_overlap_is_refused():
    regions = torch.randint(2, (1, 2, 8, 8))
    with pytest.raises(UnfitError, match="union: false"):
        structure(Output(torch.randn(1, 2, 8, 8)), Target(regions=regions), union=True)
