"""The budget at which a curve reaches a score: "best-of-k equals this method"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hnbench.stats.intervals import Array, Estimate


def equivalent_budget(
    budgets: Sequence[int], curve: Sequence[Estimate], target: Estimate
) -> Estimate:
    """The budget at which the curve first reaches the target. Between its points, the curve is
    linear in the logarithm of the budget; draws are paired.

    `budgets` must ascend. The result is `budgets[0]` if the curve starts at or above the target,
    and infinite if it never reaches it; in these two cases it is a bound and not an estimate.
    """
    points = np.array([[point.value for point in curve]])
    value = _first_reached(np.asarray(budgets, dtype=np.float64), points, np.array([target.value]))[
        0
    ]
    draws = _first_reached(
        np.asarray(budgets, dtype=np.float64),
        np.stack([point.draws for point in curve], axis=1),
        target.draws,
    )
    return Estimate(float(value), draws, min(point.freedom for point in [*curve, target]))


def _first_reached(budgets: Array, curves: Array, targets: Array) -> Array:
    """The first budget, interpolated, at which each curve `[R, P]` reaches its target `[R]`."""
    reached = curves >= targets[:, None]
    # The index of the first True. It is also 0 if there is none; the last line handles that.
    after = reached.argmax(axis=1)
    rows, before = np.arange(len(curves)), np.maximum(after - 1, 0)
    low, high = curves[rows, before], curves[rows, after]
    # np.where computes both of its branches: unused rows need a divisor that is not zero.
    rise = np.where(after > 0, high - low, 1.0)
    share = np.where(after > 0, (targets - low) / np.where(rise > 0, rise, 1.0), 0.0)
    log_budget = np.log(budgets[before]) + share * (
        np.log(budgets[after]) - np.log(budgets[before])
    )
    return np.where(reached.any(axis=1), np.exp(log_budget), np.inf)
