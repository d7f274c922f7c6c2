"""The plots of a report, one file each. `draw` takes the summary and returns a figure, or a
sentence that says why there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.plots import (
    best_of_n,
    noise,
    optimised_vs_held_out,
    quality_vs_cost,
    task_gains,
    trajectories,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from hnbench.reports.summary import Summary

PLOTS: dict[str, Callable[[Summary], Figure | str]] = {
    "quality_vs_cost": quality_vs_cost.draw,
    "best_of_n": best_of_n.draw,
    "task_gains": task_gains.draw,
    "optimised_vs_held_out": optimised_vs_held_out.draw,
    "trajectories": trajectories.draw,
    "noise": noise.draw,
}
"""File name without ending -> plot, in the order of the report."""
