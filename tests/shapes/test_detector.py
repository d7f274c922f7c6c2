"""The judge's eyes, tested on drawn images alone."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest

from hnbench.shapes import fitting, pieces
from hnbench.shapes.captions import all_captions
from hnbench.shapes.detector import THRESHOLD, detect
from hnbench.shapes.drawing import any_background, blend, draw, finish, spread, tone
from hnbench.shapes.pieces import MIXED
from hnbench.shapes.world import COLOURS, PALETTE, SHAPES, SIZE, Item, Scene
from hnbench.shapes_training.calibration import GOALS, Seen, false, look, right
from hnbench.shapes_training.drawn_kinds import drawn, two_coloured_by

FRESH = 4321
"""Another seed than the calibration's."""


def counted(image: np.ndarray) -> list[tuple[str, str | None]]:
    """The shapes and colours of the detections that count, sorted."""
    return sorted(
        (shape, each.colour)
        for shape, detections in detect(image).items()
        for each in detections
        if each.score > THRESHOLD
    )


def smear(mask: np.ndarray, colour: str = "red") -> np.ndarray:
    """An image with one object of any outline."""
    rng = np.random.default_rng(0)
    canvas = spread(any_background(rng))
    blend(canvas, mask.astype(np.float32), tone(colour, rng))
    return finish(canvas, rng)


@cache
def seen(kind: str, number: int = 240) -> list[Seen]:
    return look(drawn(kind, number, FRESH))


def test_an_empty_image_holds_nothing() -> None:
    assert detect(draw(Scene(()), np.random.default_rng(0))) == {}
    assert detect(np.random.default_rng(0).integers(200, 256, (64, 64, 3)).astype(np.uint8)) == {}


@pytest.mark.parametrize("colour", COLOURS)
def test_an_image_that_is_all_one_colour_holds_nothing(colour: str) -> None:
    assert counted(np.full((SIZE, SIZE, 3), PALETTE[colour], np.uint8)) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", COLOURS)
def test_every_shape_in_every_colour_is_found_where_it_is(shape: str, colour: str) -> None:
    found = detect(draw(Scene((Item(shape, colour, 22, 40, 9.5),)), np.random.default_rng(3)))
    assert list(found) == [shape]
    (detection,) = found[shape]
    assert detection.colour == colour
    assert detection.score > THRESHOLD
    left, top, right_, bottom = detection.box
    assert ((left + right_) / 2, (top + bottom) / 2) == pytest.approx((22, 40), abs=1.6)


@pytest.mark.parametrize("kind", GOALS)
def test_each_kind_of_drawn_image_is_judged_right_as_often_as_promised(kind: str) -> None:
    assert right(seen(kind)) >= GOALS[kind]
    assert false(seen(kind)) <= 0.02


def test_objects_of_one_colour_that_overlap_are_counted_nine_times_in_ten() -> None:
    assert right(seen("overlapping", 120)) >= 0.9
    assert false(seen("overlapping", 120)) <= 0.02


def test_an_object_in_two_halves_is_a_shape_without_a_colour() -> None:
    halves = look(drawn("clean", 60, FRESH, lambda scene, rng: two_coloured_by(scene, rng, 0.5)))
    by_task = {
        tag: right([each for each in halves if each.drawn.caption.tag == tag])
        for tag in ("single_object", "two_object", "position", "colors", "color_attr")
    }
    assert by_task["single_object"] == by_task["two_object"] == by_task["position"] == 1
    assert by_task["colors"] == by_task["color_attr"] == 0


@pytest.mark.parametrize(("share", "colour"), [(0.3, "red"), (0.48, MIXED), (0.7, "blue")])
def test_the_colour_is_that_of_most_pixels(share: float, colour: str) -> None:
    rows, columns = np.indices((SIZE, SIZE))
    disc = np.hypot(rows - 32, columns - 32) <= 10
    image = smear(disc)
    image[disc & (columns > np.quantile(columns[disc], 1 - share))] = PALETTE["blue"]
    assert counted(image) == [("circle", colour)]


def test_touching_objects_of_two_colours_are_told_apart() -> None:
    scene = Scene((Item("square", "red", 22, 32, 9), Item("square", "blue", 38.4, 32, 9)))
    assert counted(draw(scene, np.random.default_rng(0))) == [("square", "blue"), ("square", "red")]


def test_touching_objects_of_one_colour_have_boxes_of_their_own() -> None:
    scene = Scene((Item("circle", "red", 22, 32, 9), Item("triangle", "red", 38.5, 34, 9)))
    found = detect(draw(scene, np.random.default_rng(0)))
    assert {shape: len(each) for shape, each in found.items()} == {"circle": 1, "triangle": 1}
    assert found["circle"][0].box == pytest.approx((13, 23, 31, 41), abs=1.5)
    assert found["triangle"][0].box == pytest.approx((29.2, 25.5, 47.8, 41.6), abs=1.5)


def test_faded_objects_specks_and_smears_do_not_count() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((SIZE, SIZE))
    assert not detect(draw(Scene((Item("circle", "red", 32, 32, 10, 0.3),)), rng))
    assert not detect(draw(Scene((Item("circle", "red", 32, 32, 1.5),)), rng))
    assert counted(smear(np.abs(rows - 32 - 8 * np.sin(columns / 6)) < 4)) == []
    frame = np.maximum(np.abs(rows - 32), np.abs(columns - 32))
    assert counted(smear((frame > 20) & (frame < 26))) == []


def test_circles_that_have_merged_into_one_count_once() -> None:
    merged = Scene((Item("circle", "red", 29, 32, 10), Item("circle", "red", 35, 32, 10)))
    assert counted(draw(merged, np.random.default_rng(0))) == [("circle", "red")]


def test_an_object_that_the_border_halves_does_not_count() -> None:
    rng = np.random.default_rng(0)
    assert counted(draw(Scene((Item("star", "red", 8, 32, 10),)), rng)) == [("star", "red")]
    assert counted(draw(Scene((Item("star", "red", 0, 32, 10),)), rng)) == []


def test_detection_of_scenes_is_complete() -> None:
    pixels, choices = np.random.default_rng(5), random.Random(5)
    for _ in range(60):
        scene = choices.choice(all_captions("color_attr")).scene(pixels)
        expected = sorted((item.shape, item.colour) for item in scene.items)
        assert counted(draw(scene, pixels)) == expected


@pytest.mark.parametrize(
    ("kind", "module", "name", "value"),
    [
        ("two_coloured", pieces, "LEAST_SHARE", 0.8),
        ("small", pieces, "SMALLEST", 32),
        ("cut", fitting, "LARGEST_CUT", 0.0),
        ("blurred", fitting, "BLURS", (0.0,)),
    ],
)
def test_the_images_of_a_kind_need_what_was_built_for_them(
    kind: str,
    module: object,
    name: str,
    value: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, value)
    spoilt = look(each.drawn for each in seen(kind)[:60])
    assert right(spoilt) < right(seen(kind)[:60])


def test_touching_objects_need_more_than_one_shape_per_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hnbench.shapes.detector.several", lambda *_: None)
    assert right(look(each.drawn for each in seen("touching")[:30])) == 0
