"""The rule that ties noise to layout: true to the caption, local, and of the distribution that free
drawing has.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from hnbench.shapes.captions import TAGS, Caption, all_captions
from hnbench.shapes.drawing import draw
from hnbench.shapes.world import COLOURS
from hnbench.shapes_training.coupling import background_of, scene_of
from hnbench.suites.geneval.rules import evaluate
from tests.shapes.test_captions import ideal


def noises(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(seed).standard_normal((count, 16, 8, 8))


@pytest.mark.parametrize("tag", TAGS)
def test_scenes_satisfy_their_captions(tag: str) -> None:
    choices = random.Random(0)
    for noise in noises(40):
        caption = choices.choice(all_captions(tag))
        scene = scene_of(caption, noise)
        assert len(scene.items) == len(caption.shapes) * caption.count
        assert evaluate(ideal(scene), caption.metadata()).correct, caption.text


def test_an_object_lies_where_its_channel_is_high() -> None:
    noise = np.zeros((16, 8, 8))
    noise[0, 5, 2] = 9.0
    (item,) = scene_of(Caption("colors", ("star",), ("red",)), noise).items
    assert (item.x, item.y) == pytest.approx((20, 44), abs=3)


def test_an_open_colour_is_the_strongest_hue_at_the_object() -> None:
    noise = np.zeros((16, 8, 8))
    noise[0, 4, 4] = 9.0
    noise[8 + COLOURS.index("cyan")] = 1.0
    (item,) = scene_of(Caption("single_object", ("star",)), noise).items
    assert item.colour == "cyan"


def test_backgrounds_cover_the_range_of_free_drawing_evenly() -> None:
    found = [background_of(noise) for noise in noises(2000)]
    bases, slopes = np.stack([base for base, _ in found]), np.stack([slope for _, slope in found])
    assert bases.min() >= 218
    assert bases.max() <= 244
    assert bases.mean(0) == pytest.approx([231] * 3, abs=0.7)
    assert bases.std(0) == pytest.approx([26 / np.sqrt(12)] * 3, rel=0.05)
    assert slopes.std((0,)) == pytest.approx(np.full((2, 3), 16 / np.sqrt(12)), rel=0.07)


def test_a_scene_can_be_drawn_on_its_background() -> None:
    noise = noises(1)[0]
    rng = np.random.default_rng(0)
    image = draw(
        scene_of(Caption("colors", ("star",), ("red",)), noise),
        rng,
        (np.full(3, 200.0), np.zeros((2, 3))),
    )
    assert np.median(image) == pytest.approx(200, abs=2)
