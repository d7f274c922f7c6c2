from __future__ import annotations

import numpy as np
import pytest

from hnbench.shapes.drawing import draw, inside, stamp
from hnbench.shapes.world import PALETTE, SHAPES, SIZE, Item, Scene


def test_a_drawing_follows_its_seed() -> None:
    scene = Scene((Item("star", "red", 30.2, 20.7, 9.0),))
    first, again, other = (draw(scene, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("colour", PALETTE)
def test_the_middle_of_an_object_has_its_colour(colour: str) -> None:
    image = draw(Scene((Item("square", colour, 32, 32, 10),)), np.random.default_rng(0))
    middle = image[28:36, 28:36].reshape(-1, 3).mean(0)
    assert np.abs(middle - PALETTE[colour]).max() < 13


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stamp_covers_the_area_of_its_shape(shape: str) -> None:
    axis = np.linspace(-1.2, 1.2, 1001)
    area = inside(shape, *np.meshgrid(axis, axis)).mean() * 2.4**2
    assert stamp(shape, 9.0, 0.25, -0.25).sum() == pytest.approx(area * 81, rel=0.03)


def test_known_areas() -> None:
    axis = np.linspace(-1.2, 1.2, 2001)
    grid = np.meshgrid(axis, axis)
    areas = {shape: float(inside(shape, *grid).mean() * 2.4**2) for shape in SHAPES}
    assert areas["circle"] == pytest.approx(np.pi, rel=0.01)
    assert areas["square"] == pytest.approx(1.8**2, rel=0.01)
    assert areas["ring"] == pytest.approx(np.pi * (1 - 0.52**2), rel=0.01)
    assert areas["cross"] == pytest.approx(2 * 0.68 * 2 - 0.68**2, rel=0.01)
    assert areas["star"] == pytest.approx(5 * 0.42 * np.sin(np.pi / 5), rel=0.01)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="blob"):
        inside("blob", np.zeros(1), np.zeros(1))


def test_opacity_blends() -> None:
    def middle(opacity: float) -> float:
        return float(
            draw(Scene((Item("square", "black", 32, 32, 10, opacity),)), np.random.default_rng(0))[
                28:36, 28:36
            ].mean()
        )

    assert middle(1.0) < middle(0.5) < middle(0.0)
    assert middle(0.5) == pytest.approx((middle(0.0) + middle(1.0)) / 2, abs=1.0)
