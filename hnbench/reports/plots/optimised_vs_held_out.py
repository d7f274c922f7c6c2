"""The gain in the optimised reward against the gain in each held-out reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.drawing import CROWD, fix_layout, new_figure
from hnbench.reports.glyphs import drawable
from hnbench.reports.labels import (
    HYPERNOISE,
    best_of_labels,
    candidates_of,
    has_point,
    method_of,
    style_of,
)
from hnbench.reports.placing import PointLabel, label_points
from hnbench.reports.plots.findings import gained
from hnbench.reports.plots.marks import bar, error_of, size_of
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.placing import Segment
    from hnbench.reports.summary import Summary


def draw(summary: Summary) -> Figure | str:
    """The gain in the optimised reward against the gain in each held-out reward, one panel per
    held-out reward.
    """
    names = [name for name in summary.pool.held_out if _varies(summary, name)]
    if not names or not _varies(summary, "optimised"):
        return (
            "Optimised against held-out rewards is not drawn: these runs have no held-out reward"
            " that varies."
        )
    crowd = len(summary.rows) >= CROWD
    columns = 1 if crowd or len(names) in (1, 3) else 2
    height = -(-len(names) // columns)
    figure = new_figure(0.7 + 3.9 * height, _title(summary, names))
    # Every gain is in the same unit, so all panels have the same scales.
    panels = figure.subplots(height, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    drawn = [_draw_panel(axes, summary, name) for axes, name in zip(panels, names, strict=False)]
    fix_layout(figure)
    for axes, (labels, busy) in zip(panels, drawn, strict=False):
        left, right = axes.get_xlim()
        label_points(axes, labels, [*busy, (left, 0.0, right, 0.0)])
    return figure


def _varies(summary: Summary, name: str) -> bool:
    """Whether gains in a reward have a unit, the standard deviation of random noise's rewards. They
    have none if the reward is the same for all of its images.
    """
    return all(name in row.standard_gains for row in summary.rows.values())


def _draw_panel(axes: Axes, summary: Summary, name: str) -> tuple[list[PointLabel], list[Segment]]:
    """Draw all methods except the base, which lies at zero. Returns the labels to place, and the
    lines that they should avoid.
    """
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.axvline(0, color="#999999", linewidth=0.8)
    labels: list[PointLabel] = []
    busy: list[Segment] = []
    largest = max(best_of_labels(list(summary.rows)))
    for label, row in summary.rows.items():
        if label == BASE or not has_point(label):
            continue
        x, y, style = row.standard_gains["optimised"], row.standard_gains[name], style_of(label)
        axes.errorbar(
            x.estimate,
            y.estimate,
            xerr=error_of(x),
            yerr=error_of(y),
            color=style.colour,
            marker=style.marker,
            markersize=size_of(label),
            linestyle="none",
            elinewidth=1,
        )
        bold, number = method_of(label) == HYPERNOISE, candidates_of(label)
        short = f"{number}" if number and number != largest else style.short
        labels.append(PointLabel(x.estimate, y.estimate, short, style.ink, bold=bold))
        busy += [bar(x.estimate, y), (x.low, y.estimate, x.high, y.estimate)]
    axes.margins(0.16)
    axes.tick_params(labelbottom=True, labelleft=True)
    axes.set_title(drawable(name))
    axes.set_xlabel("gain in the optimised reward (sd of random noise)")
    axes.set_ylabel("gain in the held-out reward (sd)")
    return labels, busy


def _title(summary: Summary, names: Sequence[str]) -> str:
    if summary.hypernoise is None:
        return "How far gains in the optimised reward carry over to rewards that nobody optimised"
    name, gains = style_of(summary.hypernoise).name, summary.rows[summary.hypernoise].standard_gains
    said = ", ".join(f"{one} {gained(gains[one], digits=2)}" for one in names[:2])
    return (
        f"{name} gains {gained(gains['optimised'], digits=2)} sd in the optimised reward;"
        f" held out: {said} sd"
    )
