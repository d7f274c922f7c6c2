"""Common parts of several plots: a method's point, the lines to keep labels away from, and the axis
of a cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.labels import candidates_of, style_of
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from hnbench.reports.drawing import Segment
    from hnbench.stats.intervals import Array, Interval

SCORE_AXIS = "overall score (mean of tag means)\nwith 95% intervals"


def mark(axes: Axes, label: str, x: float, y: Interval) -> None:
    """Draw a method's point in its style, with its interval upwards and downwards."""
    style = style_of(label)
    axes.errorbar(
        x,
        y.estimate,
        yerr=error_of(y),
        color=style.colour,
        marker=style.marker,
        markersize=size_of(label),
        elinewidth=1.2,
        zorder=3,
    )


def size_of(label: str) -> float:
    """The size of a method's marker in points."""
    # HyperNoise's star is larger, because it fills less of its box than the other markers.
    if style_of(label).marker == "*":
        return 12.0
    return 6.0 if label == BASE else 5.0 if candidates_of(label) else 7.0


def error_of(interval: Interval) -> Array:
    """The interval as distances below and above its estimate, `[2, 1]`, as matplotlib takes them;
    zero if there is no interval.
    """
    below, above = interval.estimate - interval.low, interval.high - interval.estimate
    # A percentile interval need not contain its estimate, and matplotlib refuses lengths below 0.
    return np.nan_to_num(np.maximum([[below], [above]], 0))


def bar(x: float, interval: Interval) -> Segment:
    """The vertical line at `x` that represents an interval."""
    return (x, interval.low, x, interval.high)


def segments(xs: Sequence[float], ys: Sequence[float]) -> list[Segment]:
    """The lines that join the points of a curve, one after the other."""
    return list(zip(xs[:-1], ys[:-1], xs[1:], ys[1:], strict=True))


def log_axis(axes: Axes, name: str, values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with plain numbers and room on both sides for labels.

    `values` are the positions of all points on the axis, all above zero.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(values), max(values)
    room = max(high / low, 2) ** 0.13
    axes.set_xscale("log")
    axes.set_xlim(low / room**1.6, high * room)
    # Over more than about two decades and a half, ticks at 2 and 5 would run into each other.
    subs = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name)
