from __future__ import annotations

import math

import numpy as np
import pytest

from hnbench.stats.equivalence import equivalent_budget
from hnbench.stats.intervals import Estimate


def estimate(value: float, *draws: float) -> Estimate:
    return Estimate(value, np.array(draws), 30)


def test_interpolates_in_the_logarithm_of_the_budget() -> None:
    curve = [estimate(0.5 + 0.1 * np.log2(n), 0.5 + 0.1 * np.log2(n)) for n in (1, 2, 4, 8)]
    result = equivalent_budget([1, 2, 4, 8], curve, estimate(0.65, 0.73))
    assert result.value == pytest.approx(2**1.5)
    assert result.draws[0] == pytest.approx(2**2.3)


def test_ends_are_bounds() -> None:
    curve = [estimate(0.5, 0.5, 0.5, 0.5), estimate(0.6, 0.6, 0.6, 0.6)]
    result = equivalent_budget([1, 2], curve, estimate(0.7, 0.4, 0.6, 0.61))
    assert math.isinf(result.value)
    assert result.draws.tolist()[0] == 1.0
    assert result.draws.tolist()[1] == pytest.approx(2.0)
    assert math.isinf(result.draws[2])
    assert result.interval.low == 1.0


def test_the_first_crossing_counts_on_a_curve_that_falls_again() -> None:
    curve = [estimate(v, v) for v in (0.5, 0.7, 0.6, 0.8)]
    assert equivalent_budget([1, 2, 4, 8], curve, estimate(0.65, 0.75)).value == pytest.approx(
        2**0.75
    )
