"""The gain over random noise in every tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.drawing import new_figure
from hnbench.reports.glyphs import drawable, shortened
from hnbench.reports.labels import HYPERNOISE, featured, method_of, style_of
from hnbench.reports.plots.findings import gained, subject
from hnbench.reports.plots.marks import error_of, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.summary import Row, Summary


_NAME = 27
"""Characters of a method's name for which a panel has room."""
_TAG = 30
_LEGEND = "Point: mean difference\nLine: 95% interval\nPaired by prompt,\nsample and seed"


def draw(summary: Summary) -> Figure | str:
    """Forest plot: the paired difference to random noise in every tag, one panel per method."""
    shown = featured(list(summary.rows))
    if not summary.pool.judged:
        return "The gains by tag are not drawn: the suite has no judge."
    if not shown:
        return "The gains by tag are not drawn: these runs have no method but random noise."
    names = [
        *(drawable(shortened(tag.replace("_", " "), _TAG)) for tag in summary.pool.tags),
        "overall",
    ]
    columns = _columns(len(shown))
    height = -(-len(shown) // columns)
    figure = new_figure(0.9 + height * (0.9 + 0.24 * len(names)), _title(summary))
    panels = figure.subplots(height, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, label in zip(panels, shown, strict=False):
        _draw_panel(axes, summary.rows[label], names)
        axes.tick_params(labelbottom=True)
    spare = panels[len(shown) :]
    for axes in spare:
        axes.set_axis_off()
    named = "difference in score to random noise"
    if len(spare):
        spare[0].text(0, 0.97, _LEGEND, transform=spare[0].transAxes, va="top", linespacing=1.6)
    else:
        named += ", paired by prompt, sample and seed (95% intervals)"
    figure.supxlabel(named, fontsize=9.5)
    return figure


def _columns(panels: int) -> int:
    """Three or four columns, whichever leaves fewer empty places."""
    return panels if panels < 4 else min(4, 3, key=lambda columns: -panels % columns)


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
        drawable(shortened(style.name, _NAME)),
        color=style.ink,
        fontsize=9.5,
        fontweight="bold" if method_of(row.label) == HYPERNOISE else "normal",
    )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=4)


def _title(summary: Summary) -> str:
    label = subject(summary)
    if label is None:
        return "Gain over random noise by tag"
    row = summary.rows[label]
    up = sum(gain.low > 0 for gain in row.tag_gains.values())
    down = sum(gain.high < 0 for gain in row.tag_gains.values())
    return (
        f"{style_of(label).name} gains {gained(row.gain)} over random noise;"
        f" interval above zero in {up} of {len(row.tag_gains)} tags, below in {down}"
    )
