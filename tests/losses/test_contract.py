"""What every loss of the folder keeps."""

from __future__ import annotations

import math

import pytest
import torch

from delineate.core import Output, Target
from delineate.losses import Loss, load_loss
from delineate.resolve import Call, names, resolve

CHANNELS = (1, 4)
SHAPES = ((6, 7), (3, 4, 5))


def of(name: str) -> Loss:
    return load_loss([Call(name)])


def example(channels: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(channels)
    logits = 2 * torch.randn(2, channels, *shape)
    return logits, torch.randint(max(channels, 2), (2, *shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", names("losses"))
def test_is_a_finite_number_with_finite_slopes(name, channels, shape):
    logits, classes = example(channels, shape)
    logits = (30 * logits).requires_grad_()  # far into saturation
    loss = of(name)(Output(logits), Target(classes))
    loss.backward()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert math.isfinite(loss.item())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", names("losses"))
def test_is_small_where_all_is_right_and_large_where_all_is_wrong(name, channels):
    _, classes = example(channels, (8, 8))
    if channels == 1:
        right = 20.0 * (2 * classes[:, None] - 1)
    else:
        right = 20.0 * torch.nn.functional.one_hot(classes, channels).movedim(-1, 1) - 10
    loss = of(name)
    assert loss(Output(right), Target(classes)) < 0.02
    assert loss(Output(-right), Target(classes)) > 0.5


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", names("losses"))
def test_pixels_that_are_not_valid_take_no_part(name, channels):
    logits, classes = example(channels, (6, 7))
    valid = torch.rand(classes.shape) < 0.6
    other_logits = torch.where(
        valid[:, None], logits, 7 * torch.randn_like(logits)
    ).requires_grad_()
    other_classes = torch.where(valid, classes, 0)
    loss = of(name)(Output(logits), Target(classes, valid))
    other = of(name)(Output(other_logits), Target(other_classes, valid))
    torch.testing.assert_close(loss, other)
    other.backward()
    assert (other_logits.grad.movedim(1, -1)[~valid] == 0).all()


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", names("losses"))
def test_all_valid_is_the_same_as_no_mask_and_none_valid_has_no_slope(name, channels):
    logits, classes = example(channels, (6, 7))
    loss = of(name)
    whole = loss(Output(logits), Target(classes))
    masked = loss(Output(logits), Target(classes, torch.ones_like(classes, dtype=torch.bool)))
    torch.testing.assert_close(whole, masked)
    logits.requires_grad_()
    loss(Output(logits), Target(classes, torch.zeros_like(classes, dtype=torch.bool))).backward()
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", names("losses"))
def test_a_slice_is_a_volume_of_depth_one(name, channels):
    logits, classes = example(channels, (6, 7))
    flat = of(name)(Output(logits), Target(classes))
    deep = of(name)(Output(logits[:, :, None]), Target(classes[:, None]))
    torch.testing.assert_close(flat, deep)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", names("losses"))
def test_mixed_precision_sums_in_float32(name, channels):
    logits, classes = example(channels, (6, 7))
    rounded = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = of(name)(Output(rounded), Target(classes))
    torch.testing.assert_close(mixed, of(name)(Output(rounded.float()), Target(classes)))


@pytest.mark.parametrize("name", names("losses"))
def test_takes_bytes_as_classes_and_changes_nothing(name):
    logits, classes = example(4, (6, 7))
    before = logits.clone(), classes.byte()
    loss = of(name)(Output(logits), Target(before[1]))
    torch.testing.assert_close(loss, of(name)(Output(logits), Target(classes)))
    assert torch.equal(logits, before[0])
    assert torch.equal(classes.byte(), before[1])


@pytest.mark.parametrize("name", names("losses"))
def test_sizes_that_differ_are_refused(name):
    logits, classes = example(4, (6, 7))
    with pytest.raises(ValueError, match=r"\(2, 4, 6, 7\), the classes \(2, 6, 6\)"):
        resolve("losses", name)(Output(logits), Target(classes[:, :, :-1]))


def overlapping(name: str) -> Loss | None:
    """The loss, if it is defined for labels that overlap."""
    loss = load_loss([Call(name, {"form": "sigmoid"} if name == "focal" else {})])
    try:
        loss(Output(torch.zeros(1, 2, 4, 4)), Target(regions=torch.zeros(1, 2, 4, 4)))
    except ValueError as error:
        if "overlap" in str(error):  # it says why
            return None
        raise
    return loss


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", names("losses"))
def test_one_region_is_one_label(name, shape):
    loss = overlapping(name)
    if loss is None:
        pytest.skip(f"{name} is for labels that exclude each other")
    logits, classes = example(1, shape)
    valid = torch.rand(classes.shape) < 0.7
    for shown in (None, valid):
        one = loss(Output(logits), Target(classes, shown))
        torch.testing.assert_close(one, loss(Output(logits), Target(None, shown, classes[:, None])))


@pytest.mark.parametrize("name", names("losses"))
def test_regions_are_small_where_all_is_right_and_large_where_all_is_wrong(name):
    loss = overlapping(name)
    if loss is None:
        pytest.skip(f"{name} is for labels that exclude each other")
    regions = (torch.rand(2, 3, 8, 8) < 0.5).byte()
    right = 20.0 * (2 * regions.float() - 1)
    assert loss(Output(right), Target(regions=regions)) < 0.02
    assert loss(Output(-right), Target(regions=regions)) > 0.5


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_image_level_labels_are_learnt_where_they_are_known(name):
    loss = load_loss([Call(name, {"form": "sigmoid"} if name == "focal" else {})])
    truth = torch.tensor([[1.0, 0.0], [0.0, torch.nan]])
    right = torch.tensor([[9.0, -9.0], [-9.0, 0.0]])
    unknown = right.clone()
    unknown[1, 1] = 7
    torch.testing.assert_close(
        loss(Output(image=right), Target(image=truth)),
        loss(Output(image=unknown), Target(image=truth)),
    )
    assert loss(Output(image=right), Target(image=truth)) < 0.02
    assert loss(Output(image=-right), Target(image=truth)) > 0.5
    one = loss(Output(image=right[:, :1]), Target(image=truth[:, :1]))
    dense = Output(right[:, :1, None, None]), Target(truth[:, 0, None, None].long())
    torch.testing.assert_close(one, loss(*dense))
    with pytest.raises(ValueError, match="has no dense head"):
        loss(Output(image=right), Target(torch.zeros(2, 4, 4).long()))


@pytest.mark.parametrize("name", sorted({*names("losses")} - {"bce", "focal"}))
def test_a_loss_of_maps_says_so_to_image_level_labels(name):
    with pytest.raises(ValueError, match=r"image-level|exclude each other"):
        of(name)(Output(image=torch.zeros(2, 3)), Target(image=torch.zeros(2, 3)))
