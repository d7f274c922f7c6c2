"""The plots of a comparison: the differences by tag, and score against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.comparison.text import metric_name, title_of
from hnbench.reports.costs import SECONDS, TFLOPS, in_words
from hnbench.reports.drawing import fix_layout, new_figure
from hnbench.reports.glyphs import drawable
from hnbench.reports.placing import PointLabel, label_points
from hnbench.reports.plots.marks import bar, error_of, log_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.comparison.comparison import Comparison, Contrast
    from hnbench.reports.comparison.groups import Group

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#B07D00", "#555555")
"""The colours of groups, distinct under colour-vision deficiency (Okabe and Ito)."""
_MARKERS = ("o", "D", "s", "^", "v", "P")
_MOST = 12
"""The most panels of the forest plot; all differences are in the table."""
_TITLE = 38
"""Characters of a panel's title in a line."""


def forest(comparison: Comparison) -> Figure | str:
    """The difference of every row to its reference, overall and in every tag: a panel each."""
    shown = comparison.contrasts[:_MOST]
    names = [*(drawable(tag.replace("_", " ")) for tag in comparison.tags), "overall"]
    columns = min(3, len(shown))
    height = -(-len(shown) // columns)
    figure = new_figure(
        1.1 + height * (1.0 + 0.24 * len(names)),
        f"Differences in {metric_name(comparison.main)} by tag"
        + (
            f" (the first {_MOST} of {len(comparison.contrasts)})"
            if len(shown) < len(comparison.contrasts)
            else ""
        ),
    )
    panels = figure.subplots(height, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for place, (axes, one) in enumerate(zip(panels, shown, strict=False)):
        _panel(axes, one, comparison, names)
        axes.tick_params(labelbottom=place + columns >= len(shown))
    figure.supxlabel(f"difference in {metric_name(comparison.main)} (95% intervals)", fontsize=9.5)
    return figure


def _panel(axes: Axes, one: Contrast, comparison: Comparison, names: list[str]) -> None:
    import textwrap

    found = one.metrics[comparison.main]
    colour = group_colour(comparison, one.row.group)
    axes.axvline(0, color="#777777", linewidth=0.9)
    values = [*found.tags.values(), found.overall]
    for at, value in enumerate(values):
        axes.errorbar(
            value.estimate,
            at,
            xerr=error_of(value),
            color=colour,
            marker="o",
            markersize=5.0,
            elinewidth=2.2 if at == len(values) - 1 else 1.2,
        )
    axes.axhline(len(values) - 1.5, color="#BBBBBB", linewidth=0.8)
    title = "\n".join(textwrap.wrap(drawable(title_of(one)), _TITLE))
    axes.set_title(f"{title}\n({one.pairing})", fontsize=8.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=4)


def score_vs_cost(comparison: Comparison) -> Figure | str:
    """The main metric of every row against its cost: operations if all rows have them, else
    generator passes.
    """
    common = set.intersection(*(set(level.costs) for level in comparison.levels))
    cost = TFLOPS if TFLOPS in common else next(iter(sorted(common - {SECONDS})))
    points = [
        (level, level.costs[cost].estimate, level.metrics[comparison.main])
        for level in comparison.levels
    ]
    points = [(level, x, y) for level, x, y in points if x > 0 and y.estimate == y.estimate]
    if not points:
        return "Score against cost is not drawn: no row has both."
    figure = new_figure(
        5.4, f"{metric_name(comparison.main).capitalize()} against cost of an image"
    )
    axes = figure.subplots()
    labels = list(dict.fromkeys(level.row.label for level, *_ in points))
    for level, x, y in points:
        axes.errorbar(
            x,
            y.estimate,
            yerr=error_of(y),
            color=group_colour(comparison, level.row.group),
            marker=_MARKERS[labels.index(level.row.label) % len(_MARKERS)],
            markersize=7.0,
            elinewidth=1.2,
            zorder=3,
        )
    unit = "TFLOP per image" if cost == TFLOPS else f"{in_words(cost)} per image"
    log_axis(axes, unit, [x for _, x, _ in points])
    axes.set_ylabel(f"{metric_name(comparison.main)} (mean of tag means)\nwith 95% intervals")
    fix_layout(figure)
    label_points(
        axes,
        [
            PointLabel(x, y.estimate, level.row.name, group_colour(comparison, level.row.group))
            for level, x, y in points
        ],
        [bar(x, y) for _, x, y in points],
    )
    return figure


def group_colour(comparison: Comparison, group: Group) -> str:
    """The colour "#RRGGBB" of a group's rows."""
    names = [one.name for one in comparison.groups]
    return COLOURS[names.index(group.name) % len(COLOURS)]


PLOTS: dict[str, Callable[[Comparison], Figure | str]] = {
    "differences": forest,
    "score_vs_cost": score_vs_cost,
}
"""File name without ending -> plot, in the order of the text."""
