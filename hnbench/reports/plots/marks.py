"""Common parts of several plots: a method's point, the lines to keep labels away from, and the axes
of costs and scores.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.labels import candidates_of, style_of
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

    from hnbench.reports.placing import Segment
    from hnbench.stats.intervals import Array, Interval

SCORE_AXIS = "overall score (mean of tag means)\nwith 95% intervals"
SIDE_BY_SIDE = "equal costs side by side"
"""The note of an axis on which points were moved (`apart`)."""
_DECADES = 1.2
"""The smallest length of a cost's axis: long enough for ticks on both sides of a single point."""
_STEP = 0.014
"""The share of a cost's axis by which intervals at the same cost are moved apart."""
_STEPS = (0, 1, -1, 2, -2, 3, -3, 4, -4)
_SHORTEST = 0.2
"""The smallest length of a score's axis."""


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

    low, high = math.log10(min(values)), math.log10(max(values))
    # The names of the leftmost points stand to their left, so there is more room on that side.
    span = max(high - low, 0.55 * _DECADES)
    spare = (span - (high - low)) / 2
    low, high = low - spare - 0.28 * span, high + spare + 0.2 * span
    axes.set_xscale("log")
    axes.set_xlim(10**low, 10**high)
    # Over many decades, more ticks would run into each other.
    subs = (1.0, 2.0, 5.0) if high - low < 3 else (1.0, 3.0) if high - low < 4.5 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name)


def apart(
    axes: Axes,
    points: Mapping[str, tuple[float, Interval]],
    fixed: Iterable[tuple[float, Interval]] = (),
) -> dict[str, float]:
    """Label -> where to draw its point on a logarithmic axis (`log_axis`): at its cost, or a few
    per cent of the axis next to it if its interval would lie on that of another point.

    `fixed` points and the first of `points` stay where they are.
    """
    low, high = (math.log10(limit) for limit in axes.get_xlim())
    step = _STEP * (high - low)
    taken = [(math.log10(x), interval) for x, interval in fixed]
    places = {}
    for label, (x, interval) in points.items():
        others = [at for at, other in taken if _meet(interval, other)]
        at = min(
            (math.log10(x) + steps * step for steps in _STEPS),
            key=lambda at: sum(abs(at - other) < 0.9 * step for other in others),
        )
        places[label] = x if at == math.log10(x) else 10**at
        taken.append((at, interval))
    return places


def _meet(one: Interval, other: Interval) -> bool:
    """Whether two intervals share a score; without bounds, the estimates count."""
    lows = [each.estimate if math.isnan(each.low) else each.low for each in (one, other)]
    highs = [each.estimate if math.isnan(each.high) else each.high for each in (one, other)]
    return max(lows) <= min(highs)


def score_axis(axes: Axes, scores: Iterable[Interval]) -> None:
    """Fit the y axis to scores and their intervals. If all of them are in [0, 1], the axis and its
    ticks end there, and points at the ends are drawn whole.
    """
    from matplotlib.ticker import MaxNLocator

    ends = [end for one in scores for end in (one.estimate, one.low, one.high)]
    known = [end for end in ends if math.isfinite(end)]
    if not known:
        return
    low, high = min(known), max(known)
    share = low >= 0 and high <= 1
    room = max(0.12 * (high - low), (_SHORTEST - (high - low)) / 2)
    bottom, top = low - room, high + room
    first, last = (max(bottom, 0.0), min(top, 1.0)) if share else (bottom, top)
    # Room for half a mark beyond the end of the axis.
    beyond = 0.04 * (last - first)
    axes.set_ylim(max(bottom, first - beyond), min(top, last + beyond))
    axes.spines["left"].set_bounds(first, last)
    ticks = MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(first, last)
    axes.set_yticks([tick for tick in ticks if first - 1e-9 <= tick <= last + 1e-9])
