"""The curves of a training over its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.drawing import new_figure, save, settings
from hnbench.stats.intervals import Array
from hnbench.weights.quiet import import_matplotlib

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from hnbench.reports.training.log import TrainingRecord

NAME = "curves"
FILES = (f"{NAME}.png", f"{NAME}.svg")
POINTS = 1000
"""The most points of a line: a longer training is drawn as the means of equal spans of steps."""
SPANS = 50
"""The smoothed line has the mean of the last `steps / SPANS` steps at each step."""
BAND = 1.96
"""Half the width of a 95% interval in standard errors, if the mean is normally distributed."""
_COLOUR, _PALE, _ZERO = "#0072B2", "#9CC9E3", "#777777"


def draw_curves(record: TrainingRecord, folder: Path) -> list[Path]:
    """Write `curves.png` and `curves.svg`. Equal logs give equal files."""
    import_matplotlib()
    from matplotlib.ticker import MaxNLocator

    panels = [
        ("loss", "loss", 1.0, True),
        ("reward", "reward of a step's images", 1.0, True),
        ("relative_change", "change of the noise in % of its norm", 100.0, True),
        ("gradient_norm", "norm of the gradient before clipping", 1.0, True),
        ("learning_rate", "learning rate", 1.0, False),
    ]
    shown = [
        (title, values * factor, smooth)
        for name, title, factor, smooth in panels
        if np.isfinite(values := column(record, name)).any()
    ]
    config = record.identity.config
    title = f"{config.get('kind')} of {config.get('generator')}: {record.done} steps"
    with settings():
        figure = new_figure(2.6 * (-(-(len(shown) + 1) // 2)), title)
        axes = figure.subplots(-(-(len(shown) + 1) // 2), 2, squeeze=False).flat
        _gain(next(axes), record)
        steps = np.array([one.step for one in record.steps], dtype=float)
        for name, values, smooth in shown:
            _line(panel := next(axes), steps, values, smooth=smooth)
            panel.set_title(name)
        for unused in axes:
            unused.set_visible(False)
        for panel in figure.axes:
            panel.set_xlabel("step")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        return save(figure, folder, NAME)


def column(record: TrainingRecord, name: str) -> Array:
    """One number of every line of the log, NaN where there is none."""
    return np.array(
        [np.nan if (value := getattr(one, name)) is None else value for one in record.steps]
    )


def smoothed(values: Array, span: int) -> Array:
    """The mean of the last `span` values at each place, without those that are not finite; NaN if
    none is.
    """
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - span, 0)
    count = counts[ends] - counts[starts]
    return np.where(count > 0, (sums[ends] - sums[starts]) / np.maximum(count, 1), np.nan)


def thinned(values: Array, most: int) -> Array:
    """The means of at most `most` equal spans of values, without those that are not finite."""
    span = -(-len(values) // most) or 1
    return smoothed(values, span)[span - 1 :: span] if span > 1 else values


def _line(panel: Axes, steps: Array, values: Array, *, smooth: bool) -> None:
    every = -(-len(steps) // POINTS) or 1
    places = steps[every - 1 :: every]
    span = max(1, len(values) // SPANS)
    if smooth and span > 1:
        panel.plot(places, thinned(values, POINTS), color=_PALE, linewidth=0.8)
        values = smoothed(values, span)
        panel.plot(places, values[every - 1 :: every], color=_COLOUR, label=f"mean of {span} steps")
        panel.legend(frameon=False, fontsize=8)
    else:
        panel.plot(places, values[every - 1 :: every], color=_COLOUR)


def _gain(panel: Axes, record: TrainingRecord) -> None:
    found = [(step, one) for step, one in record.evaluations if one.gain is not None]
    steps = np.array([step for step, _ in found], dtype=float)
    gains = np.array([one.gain for _, one in found], dtype=float)
    errors = BAND * np.array([one.gain_standard_error or 0.0 for _, one in found])
    panel.axhline(0.0, color=_ZERO, linewidth=0.8)
    panel.fill_between(steps, gains - errors, gains + errors, color=_PALE, alpha=0.5, linewidth=0)
    panel.plot(steps, gains, color=_COLOUR, marker="o", markersize=3)
    panel.set_title("paired gain in reward on held-out prompts [95%]")
