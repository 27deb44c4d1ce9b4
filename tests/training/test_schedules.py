import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from delineate.resolve import names, resolve
from delineate.training.schedules import Progress, cosine, exponential, plateau, poly, step


@given(st.sampled_from(names("schedules")), st.floats(0, 1), st.floats(0, 0.5))
def test_every_factor_is_positive_or_nil_and_at_most_one(name, fraction, warmup):
    factor = resolve("schedules", name)(Progress(fraction, 10 * fraction), warmup=warmup)
    assert 0 <= factor <= 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (cosine, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)),
        (
            lambda p: poly(p, power=0.9),
            lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 20, power=0.9),
        ),
        (
            lambda p: step(p, every=5, gamma=0.6),
            lambda o: torch.optim.lr_scheduler.StepLR(o, 5, 0.6),
        ),
        (
            lambda p: exponential(p, gamma=0.9),
            lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
        ),
    ],
    ids=["cosine", "poly", "step", "exponential"],
)
def test_the_curves_are_those_of_torch(ours, theirs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = theirs(optimizer)
    for epoch in range(20):
        assert ours(Progress(epoch / 20, epoch)) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_plateau_is_that_of_torch():
    scores = [0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", 0.5, patience=2, threshold=1e-4, threshold_mode="abs"
    )
    for n, score in enumerate(scores, start=1):
        schedule.step(score)
        found = plateau(Progress(0.5, n, tuple(scores[:n])), patience=2, factor=0.5)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"])


def test_warm_up_is_linear_and_never_nil():
    assert cosine(Progress(0.05, 1), warmup=0.1) == pytest.approx(0.5)
    assert cosine(Progress(0.1, 1), warmup=0.1) == pytest.approx(1)
    assert cosine(Progress(0.0, 0), warmup=0.1) > 0
    assert cosine(Progress(1.0, 10), warmup=0.1, final=0.2) == pytest.approx(0.2)
    assert math.isclose(cosine(Progress(0.55, 5), warmup=0.1), 0.5)
