"""The norm of the noise that each method chose, and how far it moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.drawing import new_figure
from hnbench.reports.glyphs import drawable, shortened
from hnbench.reports.labels import HYPERNOISE, featured, first_of, style_of
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Array


_NAME = 30
"""Characters of a method's name for which the axis has room."""


def draw(summary: Summary) -> Figure | str:
    """The norm of the noise that each method chose, against the shell of Gaussian noise, and how
    far it moved.
    """
    shown = [BASE, *featured(list(summary.rows))]
    norms = _values(summary, "noise_norm", shown)
    if not len(norms[BASE]):
        return "The noise is not drawn: no sample of random noise is done."
    # The mean squared norm of standard normal noise is its dimension d, so √d is estimated from the
    # records: they do not have the shape of the generator's noise.
    shell = float(np.sqrt(np.mean(norms[BASE] ** 2)))
    figure = new_figure(0.9 + 0.42 * (len(shown) + 1.5), _title(norms, shell))
    left, right = figure.subplots(1, 2)
    moved = _values(summary, "displacement", shown)
    for at, label in enumerate(shown):
        _box(left, at, norms[label], label)
        # A search that keeps its first noise moves by nothing: a part of its own, not a distance.
        _box(right, at, moved[label][moved[label] > 0], label)
    left.axvline(shell, color="#333333", linestyle="--", linewidth=1)
    left.annotate(
        f"√d ≈ {shell:.1f}",
        (shell, -0.9),
        xytext=(4, -3),
        textcoords="offset points",
        va="top",
        color="#333333",
    )
    names = [drawable(shortened(style_of(label).name, _NAME)) for label in shown]
    left.set_yticks(range(len(shown)), names)
    left.set_xlabel("norm of the chosen noise\n(line: median; box: quartiles; whiskers: 5 to 95%)")
    right.set_yticks(range(len(shown)), [_share(moved[label]) for label in shown])
    right.yaxis.tick_right()
    right.tick_params(axis="y", length=0)
    right.set_xlabel("distance from the starting noise (L2)\nof the noises that were changed")
    right.set_title("share of noises changed", loc="right", fontsize=9.5)
    right.set_xlim(left=0)
    for axes in (left, right):
        axes.set_ylim(len(shown) - 0.4, -0.9)
    return figure


def _share(moved: Array) -> str:
    """The share of distances that are above zero, in words."""
    known = moved[np.isfinite(moved)]
    return f"{np.mean(known > 0):.0%}" if len(known) else "not known"


def _values(summary: Summary, column: str, labels: Sequence[str]) -> dict[str, Array]:
    """Label -> a column's values for its done samples, `[samples]`."""
    done = summary.pool.frame[summary.pool.frame["status"] == "done"]
    return {
        label: done.loc[done["label"] == label, column].to_numpy(dtype=np.float64)
        for label in labels
    }


def _box(axes: Axes, at: int, values: Array, label: str) -> None:
    values = values[np.isfinite(values)]
    if not len(values):
        return
    # matplotlib's own box plot would draw thousands of outliers, which says nothing and is slow.
    low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    colour = style_of(label).colour
    axes.plot([low, high], [at, at], color=colour, linewidth=1.2)
    axes.plot(
        [first, third], [at, at], color=colour, linewidth=9, alpha=0.45, solid_capstyle="butt"
    )
    axes.plot([middle, middle], [at - 0.22, at + 0.22], color=colour, linewidth=2.2)


def _title(norms: dict[str, Array], shell: float) -> str:
    trained = first_of(norms, HYPERNOISE)
    if trained is None or not len(norms[trained]):
        return "How far the chosen noise lies from the shell of Gaussian noise"
    off = np.nanmedian(norms[trained]) / shell - 1
    return (
        f"{style_of(trained).name}'s noise has a median norm {abs(off):.1%}"
        f" {'above' if off >= 0 else 'below'} √d, that of Gaussian noise"
    )
