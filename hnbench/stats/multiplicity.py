"""Adjustment of p-values for the number of comparisons shown together."""

from __future__ import annotations

import numpy as np

from hnbench.stats.intervals import Array


def holm(p_values: Array) -> Array:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given.

    A NaN is not a comparison: it stays NaN and does not count towards the family.

    >>> holm(np.array([0.01, 0.04, np.nan, 0.03])).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    # The running maximum is the step-down: an adjusted value is at least that of any smaller one.
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
