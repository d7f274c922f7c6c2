from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from PIL import Image

from hnbench.reports.drawing import PointLabel, fix_layout, label_points, new_figure, save, settings


def test_crowded_points_get_labels_that_keep_apart() -> None:
    with settings():
        figure = new_figure(4, "A crowd")
        axes = figure.subplots()
        points = [(x / 10, y / 10) for x in range(3) for y in range(3)]
        axes.plot(*zip(*points, strict=True), "o")
        axes.set(xlim=(-1, 2), ylim=(-1, 2))
        fix_layout(figure)
        label_points(axes, [PointLabel(x, y, f"point {x} {y}", "#000000") for x, y in points])
        renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        boxes = [super(type(text), text).get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 9
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_a_label_keeps_clear_of_a_busy_line() -> None:
    with settings():
        figure = new_figure(4, "A line")
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        fix_layout(figure)
        label_points(axes, [PointLabel(0.5, 0.5, "point", "#000000")], [(0.0, 0.5, 1.0, 0.5)])
        renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        box = super(type(axes.texts[0]), axes.texts[0]).get_window_extent(renderer)
        line = axes.transData.transform((0.5, 0.5))[1]
    assert box.y1 < line or box.y0 > line


def test_files_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    def draw(folder: Path) -> list[bytes]:
        folder.mkdir()
        with settings():
            figure = new_figure(3, "The same")
            figure.subplots().plot([1, 2], [3, 4], marker="D")
            return [path.read_bytes() for path in save(figure, folder, "plot")]

    first, second = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert first == second
    assert b"<dc:date>" not in first[1]
    with Image.open(tmp_path / "a" / "plot.png") as image:
        assert image.width == 1350


def test_the_users_settings_are_left_as_they_were() -> None:
    with mpl.rc_context({"font.size": 31.0}):
        with settings():
            assert mpl.rcParams["font.size"] == pytest.approx(9.5)
        assert mpl.rcParams["font.size"] == pytest.approx(31.0)
