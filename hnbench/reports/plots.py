"""The plots of a report. Each function takes the summary and returns a figure, or a sentence that
says why there is none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.reports.drawing import PointLabel, Segment, fix_layout, label_points, new_figure
from hnbench.reports.glyphs import drawable
from hnbench.reports.labels import (
    BASE,
    HYPERNOISE,
    RENO,
    best_of_labels,
    candidates_of,
    featured,
    style_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Array, Interval

_NFE = "generator forward passes per image (NFE)"
_SCORE = "overall score (mean of tag means)"


def quality_vs_cost(summary: Summary) -> Figure | str:
    """Overall score against passes and against seconds, both on logarithmic axes."""
    if not summary.pool.judged:
        return "Quality against cost is not drawn: the suite has no judge."
    rows = summary.rows
    if not any(
        row.costs["passes"].estimate > 0 and row.costs["seconds"].estimate > 0
        for row in rows.values()
    ):
        return "Quality against cost is not drawn: no method has a cost."
    figure = new_figure(4.6, _cost_title(summary))
    panels = figure.subplots(1, 2, sharey=True)
    axis_names = {
        "passes": "passes per image, generator + reward\n(backward = 2 forward; log scale)",
        "seconds": "seconds per image\n(this machine; log scale)",
    }
    searched = list(best_of_labels(list(rows)).values())
    drawn = []
    for axes, (column, axis_name) in zip(panels, axis_names.items(), strict=True):
        points = {
            label: (row.costs[column].estimate, row.overall)
            for label, row in rows.items()
            if row.costs[column].estimate > 0
        }
        _log_axis(axes, axis_name, [x for x, _ in points.values()])
        drawn.append(_score_points(axes, points, [label for label in searched if label in points]))
    panels[0].set_ylabel(f"{_SCORE}\nwith 95% intervals")
    fix_layout(figure)
    for axes, (labels, busy) in zip(panels, drawn, strict=True):
        label_points(axes, labels, busy)
    return figure


def best_of_n(summary: Summary) -> Figure | str:
    """The best-of-N curve with its band, and the other methods at their number of generator
    passes.
    """
    if len(summary.curve) < 2:
        why = "these runs have no best-of-N" if summary.pool.judged else "the suite has no judge"
        return f"The best-of-N curve is not drawn: {why}."
    figure = new_figure(4.6, _curve_title(summary))
    axes = figure.subplots()
    numbers = list(summary.curve)
    colour = style_of("best-of-2").colour
    others = {
        label: (row.costs["nfe"].estimate, row.overall)
        for label, row in summary.rows.items()
        if label != BASE and not candidates_of(label)
    }
    others = {label: point for label, point in others.items() if point[0] > 0}
    _log_axis(axes, f"{_NFE}, log scale", [*numbers, *(x for x, _ in others.values())])
    curve = list(summary.curve.values())
    axes.fill_between(
        numbers,
        [one.low for one in curve],
        [one.high for one in curve],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(numbers, [one.estimate for one in curve], color=colour, marker="s", markersize=4.5)
    labels = [PointLabel(1, curve[0].estimate, "random noise", style_of(BASE).colour)]
    labels += [
        PointLabel(number, one.estimate, f"N = {number}", colour)
        for number, one in list(summary.curve.items())[1:-1]
    ]
    labels.append(PointLabel(numbers[-1], curve[-1].estimate, f"best-of-{numbers[-1]}", colour))
    for label, (x, overall) in others.items():
        _marked(axes, label, x, overall)
        backward = " (plus backward passes)" if label == RENO else ""
        labels.append(
            PointLabel(
                x,
                overall.estimate,
                style_of(label).name + backward,
                style_of(label).colour,
                bold=label == HYPERNOISE,
            )
        )
    busy = _segments(numbers, curve) + [_bar(x, overall) for x, overall in others.values()]
    if (
        summary.equivalent
        and math.isfinite(summary.equivalent.estimate)
        and summary.equivalent.estimate > 1
    ):
        own = summary.rows[HYPERNOISE]
        busy.append(
            (
                own.costs["nfe"].estimate,
                own.overall.estimate,
                summary.equivalent.estimate,
                own.overall.estimate,
            )
        )
        axes.plot(
            [own.costs["nfe"].estimate, summary.equivalent.estimate],
            [own.overall.estimate] * 2,
            color=style_of(HYPERNOISE).colour,
            linestyle=":",
        )
    axes.set_ylabel(f"{_SCORE}\nwith 95% intervals")
    axes.margins(y=0.12)
    fix_layout(figure)
    label_points(axes, labels, busy)
    return figure


def trajectories(summary: Summary) -> Figure | str:
    """The optimised reward in the course of ReNO's iterations and of best-of-N's candidates: median
    and quartiles.
    """
    searched = max(best_of_labels(summary.pool.labels).items())[1]
    courses = {
        label: _courses(summary, label)
        for label in (RENO, searched)
        if label in summary.rows and label != BASE
    }
    courses = {label: course for label, course in courses.items() if course.size}
    if not courses:
        return "The trajectories are not drawn: no method of these runs recorded any."
    figure = new_figure(4.2, _course_title(summary, courses))
    panels = figure.subplots(1, len(courses), sharey=True, squeeze=False)[0]
    own = _median_reward(summary)
    drawn = []
    for axes, (label, course) in zip(panels, courses.items(), strict=True):
        best = np.fmax.accumulate(course, axis=1)
        colour, steps = style_of(label).colour, np.arange(1, course.shape[1] + 1)
        labels = [_course(axes, steps, best, colour, "best so far", "-")]
        if label == RENO:
            labels.append(_course(axes, steps, course, colour, "this iteration", "--"))
        _quartiles(axes, steps, course if label == RENO else best, colour)
        if own is not None:
            axes.axhline(own, color=style_of(HYPERNOISE).colour, linestyle=":")
            labels.append(
                PointLabel(
                    steps[-1] * 0.8, own, "HyperNoise", style_of(HYPERNOISE).colour, bold=True
                )
            )
        axes.set_title("ReNO" if label == RENO else "best-of-N")
        axes.set_xlabel(
            "iteration (one forward, one backward pass)"
            if label == RENO
            else "candidates drawn (one forward pass each)"
        )
        axes.set_xlim(0, len(steps) * 1.02)
        drawn.append(
            (labels, _course_lines(steps, [best, course] if label == RENO else [best], own))
        )
    panels[0].set_ylabel("optimised reward: median, quartiles shaded")
    fix_layout(figure)
    for axes, (labels, busy) in zip(panels, drawn, strict=True):
        label_points(axes, labels, busy)
    return figure


def optimised_vs_held_out(summary: Summary) -> Figure | str:
    """How much of the gain in the optimised reward carries over to each held-out reward."""
    names = [
        name
        for name in summary.pool.held_out
        if all(name in row.standard_gains for row in summary.rows.values())
    ]
    if not names or not all("optimised" in row.standard_gains for row in summary.rows.values()):
        return (
            "Optimised against held-out rewards is not drawn: these runs have no held-out reward"
            " that varies."
        )
    columns = min(2, len(names))
    height = -(-len(names) // columns)
    figure = new_figure(0.7 + 3.9 * height, _transfer_title(summary, names))
    panels = figure.subplots(height, columns, squeeze=False, sharex=True).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    shown = [label for label in summary.rows if label != BASE]
    drawn = []
    for axes, name in zip(panels, names, strict=False):
        axes.axhline(0, color="#999999", linewidth=0.8)
        axes.axvline(0, color="#999999", linewidth=0.8)
        labels: list[PointLabel] = []
        busy: list[Segment] = []
        for label in shown:
            x, y = (
                summary.rows[label].standard_gains["optimised"],
                summary.rows[label].standard_gains[name],
            )
            style = style_of(label)
            spread = {"xerr": _error(x), "yerr": _error(y)}
            axes.errorbar(
                x.estimate,
                y.estimate,
                **spread,
                color=style.colour,
                marker=style.marker,
                markersize=_size(label),
                linestyle="none",
                elinewidth=1,
            )
            labels.append(
                PointLabel(
                    x.estimate, y.estimate, style.short, style.colour, bold=label == HYPERNOISE
                )
            )
            busy += [_bar(x.estimate, y), (x.low, y.estimate, x.high, y.estimate)]
        axes.margins(0.14)
        axes.set_title(drawable(name))
        axes.set_xlabel("gain in the optimised reward (sd of random noise)")
        axes.set_ylabel("gain in the held-out reward (sd)")
        drawn.append((labels, busy))
    fix_layout(figure)
    for axes, (labels, busy) in zip(panels, drawn, strict=False):
        label_points(axes, labels, busy)
    return figure


def task_gains(summary: Summary) -> Figure | str:
    """Forest plot: the paired difference to random noise in every tag, one panel per method."""
    shown = featured(list(summary.rows))
    if not summary.pool.judged:
        return "The gains by tag are not drawn: the suite has no judge."
    if not shown:
        return "The gains by tag are not drawn: these runs have no method but random noise."
    columns = min(4, len(shown))
    height = -(-len(shown) // columns)
    figure = new_figure(
        0.9 + height * (0.9 + 0.24 * (len(summary.pool.tags) + 1)), _task_title(summary)
    )
    panels = figure.subplots(height, columns, squeeze=False, sharex=True, sharey=True).ravel()
    names = [*(drawable(tag.replace("_", " ")) for tag in summary.pool.tags), "overall"]
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for place, (axes, label) in enumerate(zip(panels, shown, strict=False)):
        row, style = summary.rows[label], style_of(label)
        axes.axvline(0, color="#777777", linewidth=0.9)
        for at, gain in enumerate([*row.tag_gains.values(), row.gain]):
            last = at == len(names) - 1
            width = 2.2 if last else 1.2
            axes.errorbar(
                gain.estimate,
                at,
                xerr=_error(gain),
                color=style.colour,
                marker=style.marker,
                markersize=_size(label),
                elinewidth=width,
            )
        axes.axhline(len(names) - 1.5, color="#BBBBBB", linewidth=0.8)
        axes.set_title(
            drawable(style.name),
            color=style.colour,
            fontsize=9.5,
            fontweight="bold" if label == HYPERNOISE else "normal",
        )
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.locator_params(axis="x", nbins=4)
        axes.tick_params(labelbottom=place + columns >= len(shown))
    figure.supxlabel(
        "difference in score to random noise, paired by prompt, sample and seed (95% intervals)",
        fontsize=9.5,
    )
    return figure


def noise(summary: Summary) -> Figure | str:
    """The norm of the noise that each method chose, against the shell of Gaussian noise, and how
    far it moved.
    """
    frame = summary.pool.frame[summary.pool.frame["status"] == "done"]
    shown = [BASE, *featured(list(summary.rows))]
    norms = {
        label: frame.loc[frame["label"] == label, "noise_norm"].to_numpy(dtype=np.float64)
        for label in shown
    }
    moves = {
        label: frame.loc[frame["label"] == label, "displacement"].to_numpy(dtype=np.float64)
        for label in shown
    }
    if not len(norms[BASE]):
        return "The noise is not drawn: no sample of random noise is done."
    # The mean squared norm of standard normal noise is its dimension, so its root needs no
    # knowledge of the generator.
    shell = float(np.sqrt(np.mean(norms[BASE] ** 2)))
    figure = new_figure(0.9 + 0.42 * (len(shown) + 1.5), _noise_title(norms, shell))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, values in ((left, norms), (right, moves)):
        for at, label in enumerate(shown):
            _box(axes, at, values[label], label)
        axes.set_ylim(len(shown) - 0.4, -0.9)
    left.axvline(shell, color="#333333", linestyle="--", linewidth=1)
    left.annotate(
        f"√d ≈ {shell:.1f}",
        (shell, -0.9),
        xytext=(4, -3),
        textcoords="offset points",
        va="top",
        color="#333333",
    )
    left.set_yticks(range(len(shown)), [drawable(style_of(label).name) for label in shown])
    left.set_xlabel("norm of the chosen noise\n(line: median; box: quartiles; whiskers: 5 to 95%)")
    right.set_xlabel("distance from the starting noise (L2)")
    return figure


PLOTS: dict[str, Callable[[Summary], Figure | str]] = {
    "quality_vs_cost": quality_vs_cost,
    "best_of_n": best_of_n,
    "task_gains": task_gains,
    "optimised_vs_held_out": optimised_vs_held_out,
    "trajectories": trajectories,
    "noise": noise,
}
"""File name -> plot, in the order of the report."""


def _score_points(
    axes: Axes, points: dict[str, tuple[float, Interval]], curve: Sequence[str]
) -> tuple[list[PointLabel], list[Segment]]:
    """Draw methods as points with intervals, the best-of-N ones joined and named by N alone; return
    what to label and to avoid.
    """
    xs, scores = [points[label][0] for label in curve], [points[label][1] for label in curve]
    axes.plot(
        xs,
        [score.estimate for score in scores],
        color=style_of("best-of-2").colour,
        linewidth=1.2,
        zorder=1,
    )
    labels = []
    for label, (x, overall) in points.items():
        _marked(axes, label, x, overall)
        number = candidates_of(label)
        short = f"{number}" if number and label != curve[-1] else style_of(label).short
        labels.append(
            PointLabel(x, overall.estimate, short, style_of(label).colour, bold=label == HYPERNOISE)
        )
    axes.margins(y=0.1)
    return labels, _segments(xs, scores) + [_bar(x, overall) for x, overall in points.values()]


def _marked(axes: Axes, label: str, x: float, overall: Interval) -> None:
    style = style_of(label)
    axes.errorbar(
        x,
        overall.estimate,
        yerr=_error(overall),
        color=style.colour,
        marker=style.marker,
        markersize=_size(label),
        elinewidth=1.2,
        zorder=3,
    )


def _size(label: str) -> float:
    return {HYPERNOISE: 12.0, BASE: 6.0}.get(label, 5.0 if candidates_of(label) else 7.0)


def _error(interval: Interval) -> Array:
    """The interval as matplotlib's distances below and above, `[2, 1]`; zero where there is
    none.
    """
    below, above = interval.estimate - interval.low, interval.high - interval.estimate
    return np.nan_to_num(np.maximum([[below], [above]], 0))


def _bar(x: float, interval: Interval) -> Segment:
    return (x, interval.low, x, interval.high)


def _segments(xs: Sequence[float], curve: Sequence[Interval]) -> list[Segment]:
    ys = [one.estimate for one in curve]
    return list(zip(xs[:-1], ys[:-1], xs[1:], ys[1:], strict=True))


def _log_axis(axes: Axes, name: str, values: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers and room on both sides for labels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(values), max(values)
    room = max(high / low, 2) ** 0.13
    axes.set_xscale("log")
    axes.set_xlim(low / room**1.6, high * room)
    subs = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name)


def _courses(summary: Summary, label: str) -> Array:
    """The trajectories of one label, `[samples, steps]`; NaN where a reward was not finite or a
    course ended early.
    """
    frame = summary.pool.frame
    found = [
        course
        for course in frame.loc[
            (frame["label"] == label) & (frame["status"] == "done"), "trajectory"
        ]
        if course
    ]
    table = np.full((len(found), max((len(course) for course in found), default=0)), np.nan)
    for at, course in enumerate(found):
        table[at, : len(course)] = np.array(course, dtype=np.float64)
    return table


def _course(axes: Axes, steps: Any, course: Array, colour: str, name: str, line: str) -> PointLabel:
    middle = np.nanmedian(course, axis=0)
    axes.plot(steps, middle, color=colour, linestyle=line)
    at = int(len(steps) * 0.55)
    return PointLabel(float(steps[at]), float(middle[at]), name, colour)


def _quartiles(axes: Axes, steps: Any, course: Array, colour: str) -> None:
    low, high = np.nanquantile(course, [0.25, 0.75], axis=0)
    axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)


def _course_lines(steps: Any, courses: Sequence[Array], level: float | None) -> list[Segment]:
    lines = [] if level is None else [(0.0, level, float(steps[-1]), level)]
    for course in courses:
        middle = np.nanmedian(course, axis=0)
        lines += [
            (float(steps[i]), float(middle[i]), float(steps[i + 1]), float(middle[i + 1]))
            for i in range(len(steps) - 1)
        ]
    return lines


def _median_reward(summary: Summary) -> float | None:
    if HYPERNOISE not in summary.rows:
        return None
    values = summary.pool.values("reward:optimised")[:, summary.pool.labels.index(HYPERNOISE)]
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None


def _box(axes: Axes, at: int, values: Array, label: str) -> None:
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    colour = style_of(label).colour
    axes.plot([low, high], [at, at], color=colour, linewidth=1.2)
    axes.plot(
        [first, third], [at, at], color=colour, linewidth=9, alpha=0.45, solid_capstyle="butt"
    )
    axes.plot([middle, middle], [at - 0.22, at + 0.22], color=colour, linewidth=2.2)


def _score(summary: Summary, label: str) -> str:
    return f"{summary.rows[label].overall.estimate:.2f}"


def _cost_title(summary: Summary) -> str:
    rows = summary.rows
    if HYPERNOISE not in rows:
        return f"What each method scores for its cost; random noise scores {_score(summary, BASE)}"
    named = [HYPERNOISE, *([RENO] if RENO in rows else [])]
    said = ", ".join(
        f"{style_of(label).name} {_score(summary, label)} for"
        f" {rows[label].costs['passes'].estimate:.3g}"
        for label in named
    )
    return f"Score for passes per image: {said}; random noise {_score(summary, BASE)}"


def _curve_title(summary: Summary) -> str:
    equivalent = summary.equivalent
    if equivalent is None:
        return "How the score grows with the number of candidates of best-of-N"
    if math.isinf(equivalent.estimate):
        return f"No best-of-N up to N = {max(summary.curve)} reaches HyperNoise's score"
    if equivalent.estimate <= 1:
        return "HyperNoise scores no higher than random noise"
    return f"HyperNoise scores what best-of-N needs {equivalent.estimate:.1f} candidates for"


def _course_title(summary: Summary, courses: dict[str, Array]) -> str:
    own = _median_reward(summary)
    if own is None or RENO not in courses:
        return "The optimised reward in the course of the search"
    middle = np.nanmedian(np.fmax.accumulate(courses[RENO], axis=1), axis=0)
    later = np.flatnonzero(middle >= own)
    if not len(later):
        return f"ReNO does not reach HyperNoise's optimised reward in {len(middle)} iterations"
    return f"ReNO reaches HyperNoise's optimised reward at iteration {later[0] + 1} (medians)"


def _transfer_title(summary: Summary, names: Sequence[str]) -> str:
    if HYPERNOISE not in summary.rows:
        return "How far gains in the optimised reward carry over to rewards that nobody optimised"
    gains = summary.rows[HYPERNOISE].standard_gains
    said = ", ".join(f"{name} {gains[name].estimate:+.2f}" for name in names[:2])
    return (
        f"HyperNoise gains {gains['optimised'].estimate:+.2f} sd in the optimised reward; held out:"
        f" {said} sd"
    )


def _task_title(summary: Summary) -> str:
    row = summary.rows.get(HYPERNOISE)
    if row is None:
        return "Gain over random noise by tag"
    up = sum(gain.low > 0 for gain in row.tag_gains.values())
    down = sum(gain.high < 0 for gain in row.tag_gains.values())
    return (
        f"Gain over random noise by tag: HyperNoise is above it in {up} of {len(row.tag_gains)}"
        f" tags, below in {down}"
    )


def _noise_title(norms: dict[str, Array], shell: float) -> str:
    if HYPERNOISE not in norms or not len(norms[HYPERNOISE]):
        return "How far the chosen noise lies from the shell of Gaussian noise"
    off = np.nanmedian(norms[HYPERNOISE]) / shell - 1
    return (
        f"HyperNoise's noise has a median norm {abs(off):.1%} {'above' if off >= 0 else 'below'}"
        " √d, that of Gaussian noise"
    )
