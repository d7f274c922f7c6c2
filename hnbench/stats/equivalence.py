"""The budget at which a curve of budgets reaches a score: "best-of-k equals this method"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hnbench.stats.intervals import Array, Estimate


def equivalent_budget(
    budgets: Sequence[int], curve: Sequence[Estimate], target: Estimate
) -> Estimate:
    """Where the curve, linear in log budget between its points, first reaches the target; draws are
    paired.

    `budgets` ascend. The result is `budgets[0]` where the curve starts at or above the target, and
    infinite where it never reaches it: both ends are bounds, not estimates.
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
    # The first True; 0 too where there is none, which the last line turns into infinity.
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
