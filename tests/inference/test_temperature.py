import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.inference.temperature import at_bound, ece, fit_temperature, nll, seen_probabilities
from delineate.metrics.ece import ece as metric


def samples(temperature, n=100_000, seed=0):
    """Probabilities that are too sure by `temperature`, and the truth."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, n)
    there = rng.random(n) < expit(logits)
    return expit(logits * temperature).astype(np.float32), there


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_finds_the_temperature_that_was_put_in(temperature):
    p, there = samples(temperature)
    seen = seen_probabilities(p, there)
    assert fit_temperature(seen) == pytest.approx(temperature, rel=0.02)
    assert ece(seen, fit_temperature(seen)) < 0.005
    assert nll(seen, fit_temperature(seen)) <= nll(seen, 1.0)


def test_stays_within_bounds_where_nothing_is_ever_wrong_or_right():
    p = np.array([0.9, 0.1], np.float32)
    for there, bound in ((p > 0.5, 0.1), (p < 0.5, 10)):
        found = fit_temperature(seen_probabilities(p, there))
        assert found == pytest.approx(bound, rel=0.01)
        assert at_bound(found)
    assert not at_bound(fit_temperature(seen_probabilities(*samples(2.5))))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0]))
def test_likelihood_is_that_of_the_samples(seed, temperature):
    p, there = samples(1.5, n=200, seed=seed)
    q = np.clip(p.astype(float), 1e-7, 1 - 1e-7)
    q = expit(np.log(q / (1 - q)) / temperature)
    expected = -np.mean(np.log(np.where(there, q, 1 - q)))
    assert nll(seen_probabilities(p, there), temperature) == pytest.approx(expected, abs=0.01)


def test_weights_count_as_samples_do():
    a, b = (seen_probabilities(*samples(t, n=500)) for t in (0.7, 2.0))
    assert nll(a + b + b, 1.3) == pytest.approx((nll(a, 1.3) + 2 * nll(b, 1.3)) / 3)
    assert ece(a / 500, 1.3) == pytest.approx(ece(a, 1.3))


def test_calibration_error_is_that_of_the_metric_everywhere():
    p, there = samples(2.0, n=10_000)
    labels, grid = LabelSet((Label("polyp", 1),)), Geometry.in_pixels((100, 100))
    truth = Segmentation(there.reshape(100, 100).astype(np.uint8), labels, grid)
    maps = np.stack([1 - p, p]).reshape(2, 100, 100)
    prediction = Segmentation(truth.classes, labels, grid, probabilities=maps)
    expected = metric(prediction, truth, margin=None)["polyp"]
    assert ece(seen_probabilities(p, there), 1.0) == pytest.approx(expected, abs=0.003)
