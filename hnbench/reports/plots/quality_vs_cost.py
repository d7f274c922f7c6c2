"""Overall score against work and against seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.costs import SECONDS, TFLOPS, unit_of
from hnbench.reports.drawing import CROWD, fix_layout, new_figure
from hnbench.reports.labels import (
    HYPERNOISE,
    best_of_labels,
    candidates_of,
    has_point,
    method_of,
    style_of,
)
from hnbench.reports.numbers import spanned
from hnbench.reports.placing import PointLabel, label_points
from hnbench.reports.plots.findings import gains_and_work, subject
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
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.placing import Segment
    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Interval


def draw(summary: Summary) -> Figure | str:
    """Overall score against floating-point operations (if they are not known, generator passes) and
    against seconds, both on logarithmic axes.
    """
    if not summary.pool.judged:
        return "Quality against cost is not drawn: the suite has no judge."
    unit, factor = _unit(summary)
    names = {
        summary.work: (
            f"{unit} per image\n(log scale)"
            if summary.work == TFLOPS
            else "generator passes per image\n(forward + backward; log scale)"
        ),
        SECONDS: "seconds per image\n(this machine; log scale)",
    }
    points = {
        summary.work: _points(summary, summary.work, factor),
        SECONDS: _points(summary, SECONDS),
    }
    # A method without a cost has no place on a logarithmic axis. Another one must be left, with
    # both costs.
    if not set.intersection(*map(set, points.values())):
        return "Quality against cost is not drawn: no method has a cost."
    stacked = len(summary.rows) >= CROWD
    figure = new_figure(9.6 if stacked else 4.6, _title(summary))
    panels = figure.subplots(*((2, 1) if stacked else (1, 2)), sharey=True)
    searched = list(best_of_labels(list(summary.rows)).values())
    drawn = []
    for axes, (column, found) in zip(panels, points.items(), strict=True):
        score_axis(axes, [row.overall for row in summary.rows.values()])
        log_axis(axes, names[column], [cost for cost, _ in found.values()])
        drawn.append(_draw_points(axes, found, [label for label in searched if label in found]))
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel(SCORE_AXIS)
    fix_layout(figure)
    for axes, (labels, busy) in zip(panels, drawn, strict=True):
        label_points(axes, labels, busy)
    return figure


def _unit(summary: Summary) -> tuple[str, float]:
    """The unit of work, and the factor to it."""
    if summary.work == TFLOPS:
        return unit_of(row.costs[TFLOPS].estimate for row in summary.rows.values())
    return "generator passes", 1.0


def _points(
    summary: Summary, column: str, factor: float = 1.0
) -> dict[str, tuple[float, Interval]]:
    """Label -> (cost, overall score), for the labels that have a cost."""
    return {
        label: (row.costs[column].estimate * factor, row.overall)
        for label, row in summary.rows.items()
        if row.costs[column].estimate > 0 and has_point(label)
    }


def _draw_points(
    axes: Axes, points: dict[str, tuple[float, Interval]], curve: Sequence[str]
) -> tuple[list[PointLabel], list[Segment]]:
    """Draw methods as points with intervals, the best-of-N ones joined by a line and named by N
    alone. Returns the labels to place, and the lines that they should avoid.
    """
    # The curve's points stay where they are, so that the curve is not bent.
    places = apart(axes, {label: points[label] for label in [*curve, *points]})
    if any(places[label] != x for label, (x, _) in points.items()):
        axes.set_xlabel(f"{axes.get_xlabel()[:-1]}; {SIDE_BY_SIDE})")
    xs = [places[label] for label in curve]
    ys = [points[label][1].estimate for label in curve]
    axes.plot(xs, ys, color=style_of("best-of-2").colour, linewidth=1.2, zorder=1)
    labels = []
    for label, (_, overall) in points.items():
        mark(axes, label, places[label], overall)
        number, style = candidates_of(label), style_of(label)
        short = f"{number}" if number and label != curve[-1] else style.short
        labels.append(
            PointLabel(
                places[label],
                overall.estimate,
                short,
                style.ink,
                bold=method_of(label) == HYPERNOISE,
            )
        )
    bars = [bar(places[label], overall) for label, (_, overall) in points.items()]
    return labels, segments(xs, ys) + bars


def _title(summary: Summary) -> str:
    first = subject(summary)
    if first is None:
        return f"Random noise scores {spanned(summary.rows[BASE].overall)}"
    named = [first, *([summary.reno] if summary.reno and first != summary.reno else [])]
    return gains_and_work(summary, named)
