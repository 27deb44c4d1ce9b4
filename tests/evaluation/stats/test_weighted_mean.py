import numpy as np
import pytest

from delineate.evaluation.stats import weighted_mean


def test_each_resample_has_its_mean():
    values = np.array([0.2, 0.4, 1.0])
    weights = np.array([[1, 1, 1], [0, 2, 1], [0, 0, 0]])
    expected = [1.6 / 3, 0.6, np.nan]
    assert weighted_mean(values, weights) == pytest.approx(expected, nan_ok=True)
