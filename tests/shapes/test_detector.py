"""The judge's eyes, tested on drawn images alone."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hnbench.shapes.captions import TAGS, all_captions
from hnbench.shapes.detector import THRESHOLD, detect
from hnbench.shapes.drawing import draw
from hnbench.shapes.world import COLOURS, SHAPES, Item, Scene
from hnbench.shapes_training.calibration import accuracy, look


def test_an_empty_image_holds_nothing() -> None:
    assert detect(draw(Scene(()), np.random.default_rng(0))) == {}
    assert detect(np.random.default_rng(0).integers(200, 256, (64, 64, 3)).astype(np.uint8)) == {}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", COLOURS)
def test_every_shape_in_every_colour_is_found_where_it_is(shape: str, colour: str) -> None:
    found = detect(draw(Scene((Item(shape, colour, 22, 40, 9.5),)), np.random.default_rng(3)))
    assert list(found) == [shape]
    (detection,) = found[shape]
    assert detection.colour == colour
    assert detection.score > THRESHOLD
    left, top, right, bottom = detection.box
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((22, 40), abs=1.6)


def test_at_least_99_percent_of_fresh_drawn_images_are_judged_right() -> None:
    scores = accuracy(look(per_task=120, seed=4321), THRESHOLD)
    assert np.mean([scores[tag] for tag in TAGS]) >= 0.99
    assert min(scores[tag] for tag in TAGS) >= 0.97
    assert scores["other"] <= 0.05


def test_touching_objects_of_two_colours_are_told_apart() -> None:
    scene = Scene((Item("square", "red", 22, 32, 9), Item("square", "blue", 38.4, 32, 9)))
    found = detect(draw(scene, np.random.default_rng(0)))
    assert sorted(str(detection.colour) for detection in found["square"]) == ["blue", "red"]


def test_a_faded_object_and_two_merged_ones_do_not_count() -> None:
    rng = np.random.default_rng(0)
    assert not detect(draw(Scene((Item("circle", "red", 32, 32, 10, 0.3),)), rng))
    merged = Scene((Item("circle", "red", 23, 32, 10), Item("circle", "red", 42, 32, 10)))
    assert all(
        detection.score <= THRESHOLD
        for each in detect(draw(merged, rng)).values()
        for detection in each
    )


def test_detection_of_scenes_is_complete() -> None:
    pixels, choices = np.random.default_rng(5), random.Random(5)
    right = 0
    for _ in range(60):
        scene = choices.choice(all_captions("color_attr")).scene(pixels)
        found = detect(draw(scene, pixels))
        pairs = {(shape, detection.colour) for shape, each in found.items() for detection in each}
        right += pairs == {(item.shape, item.colour) for item in scene.items}
    assert right >= 58
