from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from hnbench.reports.drawing import new_figure, settings
from hnbench.reports.plots import PLOTS, task_gains
from hnbench.reports.plots.marks import log_axis
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.stats.intervals import Interval
from tests.reports.synthetic import LABELS, write_run

Box = tuple[float, float, float, float]


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    with settings():
        yield


def drawn_texts(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Box]]:
    """Every text that is really drawn, with its box in pixels."""
    drawn: dict[int, tuple[str, Box]] = {}
    draw = Text.draw

    def recording(text: Any, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            box = Text.get_window_extent(text, renderer)
            drawn[id(text)] = (text.get_text(), (box.x0, box.y0, box.x1, box.y1))
        draw(text, renderer)

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", recording)
        figure.canvas.draw()
    return list(drawn.values())


def overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) + 1 and min(a[3], b[3]) > max(a[1], b[1]) + 1


@pytest.mark.parametrize("name", PLOTS)
def test_no_texts_overlap_and_none_is_cut(
    summary: Summary, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = PLOTS[name](summary)
    assert isinstance(figure, Figure)
    texts = drawn_texts(figure, monkeypatch)
    assert len(texts) > 10
    assert not [(one, two) for (one, a), (two, b) in combinations(texts, 2) if overlap(a, b)]
    width, height = figure.get_size_inches() * figure.dpi
    assert not [
        text
        for text, box in texts
        if box[0] < -1 or box[1] < -1 or box[2] > width + 1 or box[3] > height + 1
    ]


@pytest.mark.parametrize("name", PLOTS)
def test_axes_are_named_and_the_title_says_something(summary: Summary, name: str) -> None:
    figure: Any = PLOTS[name](summary)
    assert len(figure.get_suptitle()) > 20
    named = [axes.get_xlabel() for axes in figure.axes] + [figure.get_supxlabel()]
    assert any(named)


STRANGERS = (
    "reno:iterations=20",
    "reno:iterations=100",
    "antipodal:scale=0.5",
    "antipodal:scale=1",
    "a-method-with-a-very-long-name:strength=0.125,steps=40",
    "hypernoise:adapter=my-training",
    "golden-noise",
    "sal-x",
)
CROWDS = {
    2: ("random", "hypernoise"),
    7: ("random", "best-of-2", "best-of-4", "best-of-8", "reno", "hypernoise", "finetune"),
    13: (*LABELS, "golden-noise"),
    20: (*LABELS, *STRANGERS),
}


def of_methods(count: int, folder: Path, *, ends: float | None = None) -> Summary:
    """A summary of this many methods; their scores reach up to `ends` where it is given."""
    found = summarise_runs([write_run(folder, LABELS, prompts_per_tag=4, samples=2)])
    rng = np.random.default_rng(5)
    rows = {}
    for label in CROWDS[count]:
        row = found.rows[label if label in found.rows else "finetune"]
        shift = 0.0 if label in found.rows else float(rng.uniform(-0.15, 0.15))
        overall = moved(row.overall, shift if ends is None else ends - row.overall.high)
        gains = {name: moved(one, shift) for name, one in row.standard_gains.items()}
        rows[label] = replace(row, label=label, overall=overall, standard_gains=gains)
    numbers = {1: "random"} | {n: f"best-of-{n}" for n in found.curve if f"best-of-{n}" in rows}
    curve = {number: rows[label].overall for number, label in numbers.items()}
    return replace(found, rows=rows, curve=curve)


def moved(interval: Interval, by: float) -> Interval:
    return Interval(*(end + by for end in (interval.estimate, interval.low, interval.high)))


def box_of(text: Any, figure: Any) -> Box:
    box = Text.get_window_extent(text, figure.canvas.get_renderer())
    return (box.x0, box.y0, box.x1, box.y1)


def reaches(line: Any, box: Box) -> bool:
    """Whether any of many points of a line `[2, 2]`, in pixels, lies in a box."""
    points = line[0] + (line[1] - line[0]) * np.linspace(0, 1, 2000)[:, None]
    return bool(((points > box[:2]) & (points < box[2:])).all(axis=1).any())


@pytest.mark.parametrize("count", CROWDS)
@pytest.mark.parametrize("name", ["quality_vs_cost", "best_of_n", "optimised_vs_held_out"])
def test_names_keep_clear_of_marks_intervals_lines_and_axes(
    tmp_path: Path, name: str, count: int
) -> None:
    figure: Any = PLOTS[name](of_methods(count, tmp_path / "run"))
    if isinstance(figure, str):
        assert (name, count) == ("best_of_n", 2)
        return
    figure.canvas.draw()
    named = 0
    for axes in figure.axes:
        boxes = {text.get_text(): box_of(text, figure) for text in axes.texts}
        named += len(boxes)
        frame = axes.get_window_extent()
        assert not [
            text
            for text, box in boxes.items()
            if box[0] < frame.x0 + 1
            or box[1] < frame.y0 + 1
            or box[2] > frame.x1
            or box[3] > frame.y1
        ]
        pairs = combinations(boxes.items(), 2)
        assert not [(one, two) for (one, a), (two, b) in pairs if overlap(a, b)]
        marks = [mark for text in axes.texts for mark in [axes.transData.transform(text.xy)]]
        half = 5 * figure.dpi / 72
        assert not [
            text
            for text, box in boxes.items()
            for x, y in marks
            if overlap(box, (x - half, y - half, x + half, y + half))
        ]
        bars = [
            axes.transData.transform(segment)
            for container in axes.containers
            for bar in container.lines[2]
            for segment in bar.get_segments()
        ]
        assert len(bars) >= count - 1 or name == "best_of_n"
        struck = [text for text, box in boxes.items() if any(reaches(bar, box) for bar in bars)]
        assert not struck
    assert named >= (count - 1) * (1 if name == "best_of_n" else 2)


def test_intervals_at_one_cost_stand_side_by_side(tmp_path: Path) -> None:
    """Two intervals that share a cost and a score are some pixels apart, but stay near it."""
    summary = of_methods(13, tmp_path / "run")
    figure: Any = PLOTS["quality_vs_cost"](summary)
    axes = figure.axes[0]
    assert axes.get_xlabel().endswith("equal costs side by side)")
    bars = [
        (axes.transData.transform(bar.get_segments()[0]), label)
        for container, label in zip(axes.containers, summary.rows, strict=True)
        for bar in container.lines[2]
    ]
    compared = 0
    for (one, a), (two, b) in combinations(bars, 2):
        costs = [summary.rows[label].costs["generator_passes"].estimate for label in (a, b)]
        meet = max(one[0, 1], two[0, 1]) <= min(one[1, 1], two[1, 1])
        if costs[0] == costs[1] and meet:
            compared += 1
            assert abs(one[0, 0] - two[0, 0]) > 5
    assert compared >= 4


@pytest.mark.parametrize("count", [2, 13])
def test_an_axis_of_scores_ends_at_one(tmp_path: Path, count: int) -> None:
    summary = of_methods(count, tmp_path / "run", ends=1.0)
    for name in ("quality_vs_cost", "best_of_n"):
        figure: Any = PLOTS[name](summary)
        for axes in [] if isinstance(figure, str) else figure.axes:
            low, high = axes.get_ylim()
            assert 1 < high <= 1.05
            assert axes.spines["left"].get_bounds()[1] == 1
            ticks = axes.get_yticks()
            assert max(ticks) == pytest.approx(1)
            assert min(ticks) >= low
            assert 3 <= len(ticks) <= 9


def test_equal_scores_have_an_axis_with_a_length(tmp_path: Path) -> None:
    summary = of_methods(7, tmp_path / "run")
    rows = {label: replace(row, overall=Interval(1, 1, 1)) for label, row in summary.rows.items()}
    figure: Any = PLOTS["quality_vs_cost"](replace(summary, rows=rows))
    low, high = figure.axes[0].get_ylim()
    assert low == pytest.approx(0.9)
    assert 1 < high < 1.05


@pytest.mark.parametrize("cost", [0.0004, 0.07, 1.0, 4.0, 7000.0])
def test_a_lone_cost_has_ticks_on_both_sides(cost: float) -> None:
    axes = new_figure(4, "One").subplots()
    log_axis(axes, "cost", [cost])
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert any(tick < cost for tick in ticks) or cost in ticks
    assert any(tick > cost for tick in ticks)
    assert len(ticks) >= 2


def test_panels_of_one_quantity_have_one_scale_and_their_own_ticks(summary: Summary) -> None:
    for name in ("optimised_vs_held_out", "task_gains", "trajectories"):
        figure: Any = PLOTS[name](summary)
        figure.canvas.draw()
        panels = [axes for axes in figure.axes if axes.axison]
        assert len(panels) > 1
        assert len({axes.get_ylim() for axes in panels}) == 1
        for axes in panels:
            assert any(tick.label1.get_visible() for tick in axes.xaxis.get_major_ticks())


@pytest.mark.parametrize(("panels", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (6, 3), (7, 4)])
def test_gains_leave_few_places_empty(panels: int, columns: int) -> None:
    assert task_gains._columns(panels) == columns


def test_points_stand_where_the_numbers_are(summary: Summary) -> None:
    figure: Any = PLOTS["quality_vs_cost"](summary)
    for axes, column in zip(figure.axes, ("generator_passes", "seconds"), strict=True):
        points = {
            (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
            for line in axes.lines
            if len(line.get_xdata()) == 1
        }
        low, high = np.log10(axes.get_xlim())
        for row in summary.rows.values():
            # Equal costs stand side by side, at most four steps of 1.4% of the axis apart.
            away = [
                abs(np.log10(x / row.costs[column].estimate)) / (high - low)
                for x, y in points
                if y == row.overall.estimate
            ]
            assert min(away) <= 4 * 0.014 + 1e-9


def test_the_shell_is_the_root_of_the_dimension(summary: Summary) -> None:
    """The synthetic base has noises of dimension 192."""
    figure: Any = PLOTS["noise"](summary)
    shell = next(
        line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"
    )
    assert shell == pytest.approx(np.sqrt(192), rel=0.02)


def test_the_base_alone_has_its_plots_and_reasons_for_the_others(tmp_path: Path) -> None:
    summary = summarise_runs(
        [write_run(tmp_path / "run", ("random",), prompts_per_tag=2, samples=1)]
    )
    figures = {name: plot(summary) for name, plot in PLOTS.items()}
    missing = {name: figure for name, figure in figures.items() if isinstance(figure, str)}
    assert set(missing) == {"best_of_n", "task_gains", "trajectories"}
    assert all("drawn" in reason for reason in missing.values())


def test_without_hypernoise_every_plot_is_drawn(tmp_path: Path) -> None:
    summary = summarise_runs(
        [
            write_run(
                tmp_path / "run",
                ("random", "best-of-2", "best-of-4", "reno"),
                prompts_per_tag=2,
                samples=1,
            )
        ]
    )
    assert all(isinstance(plot(summary), Figure) for plot in PLOTS.values())


def test_gaps_do_not_break_a_plot(gappy: Summary) -> None:
    assert all(isinstance(plot(gappy), Figure) for plot in PLOTS.values())
