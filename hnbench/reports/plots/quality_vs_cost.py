"""Overall score against work and against seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.costs import SECONDS, TFLOPS, unit_of
from hnbench.reports.drawing import PointLabel, fix_layout, label_points, new_figure
from hnbench.reports.labels import HYPERNOISE, best_of_labels, candidates_of, method_of, style_of
from hnbench.reports.plots.marks import SCORE_AXIS, bar, log_axis, mark, segments
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.drawing import Segment
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
    figure = new_figure(4.6, _title(summary))
    panels = figure.subplots(1, 2, sharey=True)
    searched = list(best_of_labels(list(summary.rows)).values())
    drawn = []
    for axes, (column, found) in zip(panels, points.items(), strict=True):
        log_axis(axes, names[column], [cost for cost, _ in found.values()])
        drawn.append(_draw_points(axes, found, [label for label in searched if label in found]))
    panels[0].set_ylabel(SCORE_AXIS)
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
        if row.costs[column].estimate > 0
    }


def _draw_points(
    axes: Axes, points: dict[str, tuple[float, Interval]], curve: Sequence[str]
) -> tuple[list[PointLabel], list[Segment]]:
    """Draw methods as points with intervals, the best-of-N ones joined by a line and named by N
    alone. Returns the labels to place, and the lines that they should avoid.
    """
    xs = [points[label][0] for label in curve]
    ys = [points[label][1].estimate for label in curve]
    axes.plot(xs, ys, color=style_of("best-of-2").colour, linewidth=1.2, zorder=1)
    labels = []
    for label, (x, overall) in points.items():
        mark(axes, label, x, overall)
        number = candidates_of(label)
        short = f"{number}" if number and label != curve[-1] else style_of(label).short
        labels.append(
            PointLabel(
                x,
                overall.estimate,
                short,
                style_of(label).colour,
                bold=method_of(label) == HYPERNOISE,
            )
        )
    axes.margins(y=0.1)
    return labels, segments(xs, ys) + [bar(x, overall) for x, overall in points.values()]


def _title(summary: Summary) -> str:
    rows = summary.rows
    if summary.hypernoise is None:
        return f"What each method scores for its cost; random noise scores {_score(summary, BASE)}"
    unit, factor = _unit(summary)
    named = [summary.hypernoise, *([summary.reno] if summary.reno else [])]
    said = ", ".join(
        f"{style_of(label).name} {_score(summary, label)} for"
        f" {rows[label].costs[summary.work].estimate * factor:.3g}"
        for label in named
    )
    return f"Score for {unit} per image: {said}; random noise {_score(summary, BASE)}"


def _score(summary: Summary, label: str) -> str:
    return f"{summary.rows[label].overall.estimate:.2f}"
