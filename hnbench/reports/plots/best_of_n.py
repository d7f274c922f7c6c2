"""The best-of-N curve, with the other methods at their number of generator passes. A search whose
smaller budgets are reported is a curve too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hnbench.reports.costs import PASSES
from hnbench.reports.drawing import CROWD, fix_layout, new_figure
from hnbench.reports.labels import (
    HYPERNOISE,
    budget_of,
    candidates_of,
    has_point,
    method_of,
    style_of,
)
from hnbench.reports.numbers import candidates, candidates_between
from hnbench.reports.placing import PointLabel, label_points
from hnbench.reports.plots.findings import gained
from hnbench.reports.plots.marks import (
    SCORE_AXIS,
    SIDE_BY_SIDE,
    apart,
    bar,
    log_axis,
    mark,
    score_axis,
    segments,
)
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.placing import Segment
    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Interval

_COLOUR = style_of("best-of-2").colour


def draw(summary: Summary) -> Figure | str:
    """The best-of-N curve with its band, and the other methods at their number of generator
    passes.
    """
    if len(summary.curve) < 2:
        why = "these runs have no best-of-N" if summary.pool.judged else "the suite has no judge"
        return f"The best-of-N curve is not drawn: {why}."
    figure = new_figure(6.4 if len(summary.rows) >= CROWD else 4.6, _title(summary))
    axes = figure.subplots()
    others = _others(summary)
    costs = [*summary.curve, *(cost for cost, _ in others.values())]
    log_axis(axes, "generator passes per image (forward + backward; log scale)", costs)
    score_axis(axes, [*summary.curve.values(), *(overall for _, overall in others.values())])
    _draw_curve(axes, summary.curve)
    places = apart(axes, others, summary.curve.items())
    if any(places[label] != cost for label, (cost, _) in others.items()):
        axes.set_xlabel(f"{axes.get_xlabel()[:-1]}; {SIDE_BY_SIDE})")
    others = {label: (places[label], overall) for label, (_, overall) in others.items()}
    for label, (place, overall) in others.items():
        mark(axes, label, place, overall)
    busy = segments(list(summary.curve), [one.estimate for one in summary.curve.values()])
    for label in others:
        busy += _draw_search(axes, summary, label, places[label])
    busy += [bar(place, overall) for place, overall in others.values()]
    busy += _draw_equivalence(axes, summary, places)
    axes.set_ylabel(SCORE_AXIS)
    fix_layout(figure)
    label_points(axes, [*_curve_labels(summary.curve), *_other_labels(others)], busy)
    return figure


def _others(summary: Summary) -> dict[str, tuple[float, Interval]]:
    """The methods that are not on the curve: label -> (generator passes, overall score)."""
    points = {
        label: (row.costs[PASSES].estimate, row.overall)
        for label, row in summary.rows.items()
        if label != BASE and not candidates_of(label) and has_point(label)
    }
    # A logarithmic axis has no place for zero passes, nor for a cost that is not known.
    return {label: point for label, point in points.items() if point[0] > 0}


def _draw_search(axes: Axes, summary: Summary, label: str, place: float) -> list[Segment]:
    """Draw a line through the smaller budgets of a search to its own point at `place`; return its
    parts, none if the smaller budgets are not reported.
    """
    found = {
        budget[1]: row.overall.estimate
        for one, row in summary.rows.items()
        if (budget := budget_of(one)) and budget[0] == label
    }
    if not found:
        return []
    passes = [*found, place]
    scores = [*found.values(), summary.rows[label].overall.estimate]
    axes.plot(passes, scores, color=style_of(label).colour, linestyle="--", linewidth=1)
    return segments(passes, scores)


def _draw_curve(axes: Axes, curve: dict[int, Interval]) -> None:
    numbers, scores = list(curve), list(curve.values())
    low, high = [one.low for one in scores], [one.high for one in scores]
    axes.fill_between(numbers, low, high, color=_COLOUR, alpha=0.15, linewidth=0)
    estimates = [one.estimate for one in scores]
    axes.plot(numbers, estimates, color=_COLOUR, marker="s", markersize=4.5)


def _draw_equivalence(axes: Axes, summary: Summary, places: Mapping[str, float]) -> list[Segment]:
    """Draw a line from HyperNoise to the point of the curve with the same score, if there is one;
    return the line.
    """
    equivalent = summary.equivalent
    # At 1 or below, random noise is already as good, and the curve begins at 1.
    if (
        summary.hypernoise is None
        or summary.hypernoise not in places
        or not equivalent
        or not math.isfinite(equivalent.estimate)
        or equivalent.estimate <= 1
    ):
        return []
    start = places[summary.hypernoise]
    score = summary.rows[summary.hypernoise].overall.estimate
    colour = style_of(HYPERNOISE).colour
    axes.plot([start, equivalent.estimate], [score] * 2, color=colour, linestyle=":")
    return [(start, score, equivalent.estimate, score)]


def _curve_labels(curve: dict[int, Interval]) -> list[PointLabel]:
    """The labels of the curve: its ends are named in full, the points between them by N alone."""
    (_, first), *middle, (largest, last) = curve.items()
    ink = style_of("best-of-2").ink
    return [
        PointLabel(1, first.estimate, "random noise", style_of(BASE).ink),
        *(PointLabel(number, one.estimate, f"N = {number}", ink) for number, one in middle),
        PointLabel(largest, last.estimate, f"best-of-{largest}", ink),
    ]


def _other_labels(others: dict[str, tuple[float, Interval]]) -> list[PointLabel]:
    labels = []
    for label, (place, overall) in others.items():
        style = style_of(label)
        bold = method_of(label) == HYPERNOISE
        labels.append(PointLabel(place, overall.estimate, style.name, style.ink, bold=bold))
    return labels


def _title(summary: Summary) -> str:
    equivalent, largest = summary.equivalent, max(summary.curve)
    if equivalent is None or summary.hypernoise is None:
        gain = summary.rows[f"best-of-{largest}"].gain
        return f"Best-of-{largest} gains {gained(gain)} over random noise"
    name = style_of(summary.hypernoise).name
    between = candidates_between(equivalent, largest)
    if math.isinf(equivalent.estimate):
        return f"No best-of-N up to N = {largest} reaches {name}'s score [{between}]"
    if equivalent.estimate <= 1:
        return f"Random noise already reaches {name}'s score [N: {between}]"
    number = candidates(equivalent.estimate, largest)
    return f"Best-of-N reaches {name}'s score at N ≈ {number} [{between}]"
