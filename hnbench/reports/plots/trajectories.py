"""The optimised reward in the course of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.drawing import fix_layout, new_figure
from hnbench.reports.labels import HYPERNOISE, RENO, best_of_labels, method_of, style_of
from hnbench.reports.placing import PointLabel, label_points
from hnbench.reports.plots.marks import segments
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.placing import Segment
    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Array

_ITERATIONS = "iteration (one forward, one backward pass)"
_CANDIDATES = "candidates drawn (one forward pass each)"


def draw(summary: Summary) -> Figure | str:
    """The optimised reward in the course of ReNO's iterations and of best-of-N's candidates: median
    and quartiles.
    """
    # Only the largest best-of-N is shown: a smaller one draws the same first candidates.
    searched = max(best_of_labels(summary.pool.labels).items())[1]
    shown = [
        label
        for label in (summary.reno, searched)
        if label is not None and label in summary.rows and label != BASE
    ]
    found = {label: _course(summary, label) for label in shown}
    courses = {label: course for label, course in found.items() if course.size}
    if not courses:
        return "The trajectories are not drawn: no method of these runs recorded any."
    figure = new_figure(4.2, _title(summary, courses))
    panels = figure.subplots(1, len(courses), sharey=True, squeeze=False)[0]
    own = _median_reward(summary)
    drawn = [
        _draw_panel(axes, label, course, own)
        for axes, (label, course) in zip(panels, courses.items(), strict=True)
    ]
    panels[0].set_ylabel("optimised reward: median, quartiles shaded")
    fix_layout(figure)
    for axes, (labels, busy) in zip(panels, drawn, strict=True):
        label_points(axes, labels, busy)
    return figure


def _course(summary: Summary, label: str) -> Array:
    """The trajectories of one label, `[samples, steps]`; NaN if a reward was not finite, and after
    the end of a shorter trajectory.
    """
    frame = summary.pool.frame
    done = frame[(frame["label"] == label) & (frame["status"] == "done")]
    found = [course for course in done["trajectory"] if course is not None]
    table = np.full((len(found), max((len(course) for course in found), default=0)), np.nan)
    for at, course in enumerate(found):
        table[at, : len(course)] = course
    return table


def _draw_panel(
    axes: Axes, label: str, course: Array, own: float | None
) -> tuple[list[PointLabel], list[Segment]]:
    """Draw one method's course, and HyperNoise's level. Returns the labels to place, and the lines
    that they should avoid.
    """
    lines = [("best so far", np.fmax.accumulate(course, axis=1), "-")]
    # The candidates of best-of-N are independent of each other, so only their best is a course.
    if method_of(label) == RENO:
        lines.append(("this iteration", course, "--"))
    steps, style = np.arange(1, course.shape[1] + 1), style_of(label)
    labels: list[PointLabel] = []
    busy: list[Segment] = []
    for name, values, dashes in lines:
        middle = np.nanmedian(values, axis=0)
        axes.plot(steps, middle, color=style.colour, linestyle=dashes)
        at = int(len(steps) * 0.55)
        labels.append(PointLabel(float(steps[at]), float(middle[at]), name, style.ink))
        busy += segments(steps.tolist(), middle.tolist())
    low, high = np.nanquantile(lines[-1][1], [0.25, 0.75], axis=0)
    axes.fill_between(steps, low, high, color=style.colour, alpha=0.15, linewidth=0)
    if own is not None:
        end, style = float(len(steps)), style_of(HYPERNOISE)
        axes.axhline(own, color=style.colour, linestyle=":")
        labels.append(PointLabel(end * 0.8, own, "HyperNoise", style.ink, bold=True))
        busy.append((0.0, own, end, own))
    axes.set_title(style_of(label).name if method_of(label) == RENO else "best-of-N")
    axes.set_xlabel(_ITERATIONS if method_of(label) == RENO else _CANDIDATES)
    axes.set_xlim(0, len(steps) * 1.02)
    axes.tick_params(labelleft=True)
    return labels, busy


def _median_reward(summary: Summary) -> float | None:
    """The median optimised reward of HyperNoise; None if no sample of it is done, or if its images
    have other steps than those of a trajectory.
    """
    config = summary.pool.manifests[0]["config"]
    if summary.hypernoise is None or config.get("render_steps") is not None:
        return None
    place = summary.pool.labels.index(summary.hypernoise)
    values = summary.pool.values("reward:optimised")[:, place]
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None


def _title(summary: Summary, courses: dict[str, Array]) -> str:
    own = _median_reward(summary)
    reno, trained = summary.reno, summary.hypernoise
    if own is None or trained is None or reno is None or reno not in courses:
        return "The optimised reward in the course of the search"
    searching, name = style_of(reno).name, style_of(trained).name
    middle = np.nanmedian(np.fmax.accumulate(courses[reno], axis=1), axis=0)
    later = np.flatnonzero(middle >= own)
    if not len(later):
        return f"{searching} does not reach {name}'s optimised reward in {len(middle)} iterations"
    return f"{searching} reaches {name}'s optimised reward at iteration {later[0] + 1} (medians)"
