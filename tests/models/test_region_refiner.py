import pytest
import torch

from delineate.models import load_model
from delineate.models.region_refiner import logits_of
from delineate.resolve import Call


def made(channels, classes, ndim=2):
    torch.manual_seed(0)
    return load_model(
        Call("region_refiner", {"features": [4, 8]}), channels, {"dense": classes}, ndim
    )


def pixels(channels, classes, shape=(16, 16)):
    image = torch.randn(2, channels - classes - 1, *shape)
    given = torch.randn(2, max(2, classes), *shape).softmax(1)[:, -classes:]
    return torch.cat([image, given, torch.rand(2, 1, *shape) * 2 - 1], dim=1)


@pytest.mark.parametrize(("channels", "classes"), [(5, 1), (7, 3), (3, 1), (4, 2)])
@pytest.mark.parametrize("ndim", [2, 3])
def test_untrained_it_returns_the_given_probabilities(channels, classes, ndim):
    seen = pixels(channels, classes, (16,) * ndim)
    given = seen[:, -classes - 1 : -1]
    logits = made(channels, classes, ndim).eval()(seen).logits
    assert torch.equal(logits, logits_of(given))
    shares = logits.sigmoid() if classes == 1 else logits.softmax(1)
    torch.testing.assert_close(shares, given, atol=0.02, rtol=0)


def test_every_weight_learns_after_the_first_step():
    model = made(7, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        model(pixels(7, 3)).logits.square().mean().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    idle = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert len(idle) <= 3, idle


def test_outside_the_band_only_labels_inside_the_region_move():
    model = made(7, 3).eval()
    with torch.no_grad():
        for weight in (*model.border.parameters(), *model.label.parameters()):
            weight.normal_()
    seen = pixels(7, 3)
    seen[:, -1] = 1.0  # far outside
    assert torch.equal(model(seen).logits, logits_of(seen[:, 3:6]))
    seen[:, -1] = -1.0  # deep inside
    moved = model(seen).logits - logits_of(seen[:, 3:6])
    assert moved[:, 0].abs().max() == 0
    assert moved[:, 1:].sum(1).abs().max() < 1e-5, "one label gains what the others lose"
    assert moved[:, 1:].abs().max() > 0


def test_images_of_another_use_are_refused():
    with pytest.raises(ValueError, match="refine fit"):
        made(3, 2)
