"""The gain over random noise in every tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.drawing import new_figure
from hnbench.reports.glyphs import drawable
from hnbench.reports.labels import HYPERNOISE, featured, method_of, style_of
from hnbench.reports.plots.marks import error_of, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.summary import Row, Summary


def draw(summary: Summary) -> Figure | str:
    """Forest plot: the paired difference to random noise in every tag, one panel per method."""
    shown = featured(list(summary.rows))
    if not summary.pool.judged:
        return "The gains by tag are not drawn: the suite has no judge."
    if not shown:
        return "The gains by tag are not drawn: these runs have no method but random noise."
    names = [*(drawable(tag.replace("_", " ")) for tag in summary.pool.tags), "overall"]
    columns = min(4, len(shown))
    height = -(-len(shown) // columns)
    figure = new_figure(0.9 + height * (0.9 + 0.24 * len(names)), _title(summary))
    panels = figure.subplots(height, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for place, (axes, label) in enumerate(zip(panels, shown, strict=False)):
        _draw_panel(axes, summary.rows[label], names)
        # Only the lowest panel of each column has numbers, also if its column has a row less.
        axes.tick_params(labelbottom=place + columns >= len(shown))
    figure.supxlabel(
        "difference in score to random noise, paired by prompt, sample and seed (95% intervals)",
        fontsize=9.5,
    )
    return figure


def _draw_panel(axes: Axes, row: Row, names: Sequence[str]) -> None:
    """Draw one method: its gain in every tag from the top down, and overall below a line."""
    style = style_of(row.label)
    axes.axvline(0, color="#777777", linewidth=0.9)
    gains = [*row.tag_gains.values(), row.gain]
    for at, gain in enumerate(gains):
        axes.errorbar(
            gain.estimate,
            at,
            xerr=error_of(gain),
            color=style.colour,
            marker=style.marker,
            markersize=size_of(row.label),
            elinewidth=2.2 if at == len(gains) - 1 else 1.2,
        )
    axes.axhline(len(gains) - 1.5, color="#BBBBBB", linewidth=0.8)
    axes.set_title(
        drawable(style.name),
        color=style.colour,
        fontsize=9.5,
        fontweight="bold" if method_of(row.label) == HYPERNOISE else "normal",
    )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=4)


def _title(summary: Summary) -> str:
    if summary.hypernoise is None:
        return "Gain over random noise by tag"
    row = summary.rows[summary.hypernoise]
    up = sum(gain.low > 0 for gain in row.tag_gains.values())
    down = sum(gain.high < 0 for gain in row.tag_gains.values())
    return (
        f"Gain over random noise by tag: {style_of(row.label).name} is above it in {up} of"
        f" {len(row.tag_gains)} tags, below in {down}"
    )
