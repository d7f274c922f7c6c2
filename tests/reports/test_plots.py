from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from hnbench.reports.drawing import settings
from hnbench.reports.plots import PLOTS
from hnbench.reports.summary import Summary, summarise_runs
from tests.reports.synthetic import write_run

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
