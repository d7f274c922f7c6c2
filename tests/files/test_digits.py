from __future__ import annotations

import math

import pytest

from hnbench.files.digits import to_digits


@pytest.mark.parametrize(
    ("value", "digits", "rounded"),
    [
        (0.123456789, 5, 0.12346),
        (-98765.4321, 3, -98800.0),
        (1e-12 / 3, 2, 3.3e-13),
        (math.inf, 5, math.inf),
        (0.0, 5, 0.0),
    ],
)
def test_significant_digits(value: float, digits: int, rounded: float) -> None:
    assert to_digits(value, digits) == rounded


def test_what_is_not_a_number_stays_so() -> None:
    assert math.isnan(to_digits(math.nan, 3))
