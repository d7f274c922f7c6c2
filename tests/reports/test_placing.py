from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from hnbench.reports import placing
from hnbench.reports.drawing import fix_layout, new_figure, settings
from hnbench.reports.placing import PointLabel, label_points


def test_crowded_points_get_labels_that_keep_apart() -> None:
    with settings():
        figure = new_figure(4, "A crowd")
        axes = figure.subplots()
        points = [(x / 10, y / 10) for x in range(3) for y in range(3)]
        axes.plot(*zip(*points, strict=True), "o")
        axes.set(xlim=(-1, 2), ylim=(-1, 2))
        fix_layout(figure)
        label_points(axes, [PointLabel(x, y, f"point {x} {y}", "#000000") for x, y in points])
        figure.draw_without_rendering()
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
        figure.draw_without_rendering()
        renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        box = super(type(axes.texts[0]), axes.texts[0]).get_window_extent(renderer)
        line = axes.transData.transform((0.5, 0.5))[1]
    assert box.y1 < line or box.y0 > line


def test_the_length_of_a_line_in_a_box_is_that_of_many_small_steps() -> None:
    rng = np.random.default_rng(3)
    lines, corners = rng.uniform(0, 10, (40, 4)), rng.uniform(0, 10, (30, 2))
    lines[:3, 2:] = lines[:3, :2] + [[0, 4], [4, 0], [0, 0]]
    boxes = np.hstack([corners, corners + rng.uniform(1, 4, (30, 2))])
    steps = (np.arange(4000) + 0.5)[:, None] / 4000
    for line, found in zip(lines, placing._inside(lines, boxes), strict=True):
        points = line[:2] + (line[2:] - line[:2]) * steps
        for box, length in zip(boxes, found, strict=True):
            inside = ((points >= box[:2]) & (points <= box[2:])).all(axis=1).mean()
            assert abs(length - inside * np.hypot(*(line[2:] - line[:2]))) < 0.02


def test_lines_cross_where_their_equations_say_so() -> None:
    rng = np.random.default_rng(4)
    some, others = rng.uniform(0, 10, (30, 4)), rng.uniform(0, 10, (30, 4))
    crossing = placing._crossing(some, others)
    for a, row in zip(some, crossing, strict=True):
        for b, crossed in zip(others, row, strict=True):
            matrix = np.column_stack([a[2:] - a[:2], b[:2] - b[2:]])
            s, t = np.linalg.solve(matrix, b[:2] - a[:2])
            assert bool(crossed) == (0 < s < 1 and 0 < t < 1)
    assert 100 < crossing.sum() < 500


def test_a_far_name_has_a_line_to_its_point_and_a_near_one_has_none() -> None:
    with settings():
        figure = new_figure(4, "A thicket")
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        fix_layout(figure)
        # Lines on all sides of the first point leave no room near it.
        thicket = [(x, 0.3, x, 0.7) for x in np.arange(0.36, 0.64, 0.01).tolist()]
        labels = [
            PointLabel(0.5, 0.5, "inside", "#000000"),
            PointLabel(0.1, 0.1, "free", "#111111"),
        ]
        label_points(axes, labels, thicket)
        inside, free = axes.texts
    assert [text.get_text() for text in axes.texts] == ["inside", "free"]
    assert inside.arrow_patch is not None  # type: ignore[attr-defined]
    assert free.arrow_patch is None  # type: ignore[attr-defined]


def test_a_long_name_loses_its_middle() -> None:
    with settings():
        figure = new_figure(4, "A long name")
        axes = figure.subplots()
        fix_layout(figure)
        label_points(axes, [PointLabel(0.5, 0.5, "beginning-" + "x" * 50 + "-end", "#000000")])
    (text,) = axes.texts
    assert len(text.get_text()) == 26
    assert text.get_text().startswith("beginning-")
    assert text.get_text().endswith("-end")
