"""Fits of silhouettes, against the drawing they should find again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hnbench.shapes.cuts import cuts
from hnbench.shapes.drawing import coverage_of, inside
from hnbench.shapes.fitting import ALL, Fit, fit, fit_each, forgiving, overlap
from hnbench.shapes.silhouettes import centres, distances, moments, render
from hnbench.shapes.world import SHAPES, SIZE, Item

SQUARE = (SIZE, SIZE)


def seen(*items: Item) -> np.ndarray:
    """The coverage by the objects together, `[1, 64 * 64]`."""
    return np.asarray(np.max([coverage_of(item) for item in items], axis=0)).reshape(1, -1)


def test_distances_and_moments_are_those_of_a_circle_and_a_square() -> None:
    shapes = np.asarray([[SHAPES.index("circle"), SHAPES.index("square")]])
    places = np.asarray([[(30.0, 28.0, 10.0, 10.0)] * 2], np.float32)
    x, y = (centres(SQUARE) - (30, 28)).T
    circle, square = distances(shapes, places, SQUARE)[0]
    near = np.hypot(x, y) < 16
    assert circle[near] == pytest.approx((np.hypot(x, y) - 10)[near], abs=0.4)
    within = np.maximum(np.abs(x), np.abs(y)) < 9
    assert square[within] == pytest.approx((np.maximum(np.abs(x), np.abs(y)) - 9)[within], abs=0.4)
    area, across, down = moments()[:, shapes[0]]
    assert area == pytest.approx((np.pi, 1.8**2), rel=0.01)
    assert np.abs(across).max() < 0.01
    assert np.abs(down).max() < 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_a_silhouette_covers_what_the_drawing_covers(shape: str) -> None:
    places = np.asarray([[(32.25, 31.5, 9.0, 9.0)]], np.float32)
    drawn = render(np.asarray([[SHAPES.index(shape)]]), places, SQUARE)[0, 0]
    assert overlap(seen(Item(shape, "red", 32.25, 31.5, 9)), drawn) > 0.93


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_a_fit_finds_the_place_and_the_radius(shape: str, sigma: float) -> None:
    mask = ndimage.gaussian_filter(coverage_of(Item(shape, "red", 24.5, 36.25, 9)), sigma)
    best = fit_each(mask.reshape(1, -1), SQUARE, steps=6)[0].best()
    assert SHAPES[best.shapes[0, 0]] == shape
    assert best.places[0, 0] == pytest.approx((24.5, 36.25, 9, 9), abs=0.45)
    assert best.scores[0] > 0.88


def test_a_stretched_fit_finds_both_radii() -> None:
    x, y = centres(SQUARE).T
    ellipse = inside("circle", (x - 30) / 11, (y - 31) / 9).astype(np.float32)[None]
    found = fit_each(ellipse, SQUARE, steps=6)[0].take([SHAPES.index("circle")])
    better = fit(ellipse, SQUARE, found.shapes, found.places, steps=6, stretch=True)
    assert better.places[0, 0] == pytest.approx((30, 31, 11, 9), abs=0.3)
    assert better.scores[0] > found.scores[0] + 0.05


def test_two_shapes_are_fitted_together() -> None:
    target = seen(Item("circle", "red", 22, 32, 9), Item("square", "red", 36, 33, 9))
    shapes = np.asarray([[SHAPES.index("circle"), SHAPES.index("square")]])
    begin = np.asarray([[(20.5, 30.5, 8, 8), (37.5, 34.5, 10, 10)]], np.float32)
    found = fit(target, SQUARE, shapes, begin, steps=8)
    assert found.places[0] == pytest.approx(np.asarray([(22, 32, 9, 9), (36, 33, 9, 9)]), abs=0.3)
    assert found.scores[0] > 0.95


def test_the_overlap_of_soft_masks_by_hand() -> None:
    first, second = np.asarray([1, 0.5, 0, 0.25]), np.asarray([0.5, 1, 0, 0.25])
    assert overlap(first, second) == pytest.approx((0.5 + 0.5 + 0.25) / (1 + 1 + 0.25))


def test_a_cut_is_forgiven_and_a_bulge_is_not() -> None:
    x, y = centres(SQUARE).T
    whole = coverage_of(Item("circle", "red", 32, 32, 10)).ravel()
    places = np.asarray([[(32.0, 32.0, 10.0, 10.0)]], np.float32)

    def scores(target: np.ndarray) -> tuple[float, float]:
        shapes = np.asarray([[SHAPES.index("circle")]])
        found = Fit(shapes, places, whole[None], np.atleast_1d(overlap(target, whole)))
        return float(found.scores[0]), float(forgiving(target[None], SQUARE, found)[0])

    plain, forgiven = scores(whole * (x < 38))
    assert plain < 0.88
    # A segment beyond 0.6 radii has 14% of a disc's area.
    assert forgiven == pytest.approx(1 - 0.3 * 0.142, abs=0.02)
    half, still_half = scores(whole * (x < 32))
    assert still_half < half + 0.3
    assert still_half < 0.75
    bulge = np.maximum(whole, (np.abs(y - 32) < 5) & (x > 32) & (x < 50))
    assert scores(bulge.astype(np.float32))[1] == pytest.approx(scores(bulge)[0], abs=0.02)


def test_the_first_cut_of_two_circles_goes_between_them() -> None:
    target = seen(Item("circle", "red", 22, 32, 9), Item("circle", "red", 39, 32, 9))
    side = cuts(target[0] > 0.5, centres(SQUARE))[0]
    x, _ = centres(SQUARE).T
    own = target[0] > 0.5
    wrong = float((side[own] != (x < 30.5)[own]).mean())
    assert min(wrong, 1 - wrong) < 0.03


def test_a_piece_too_small_for_two_is_not_cut() -> None:
    assert cuts(seen(Item("circle", "red", 32, 32, 2.5))[0] > 0.5, centres(SQUARE)) == []


def test_all_shapes_are_tried_for_each_target() -> None:
    targets = np.concatenate([seen(Item(shape, "red", 30, 30, 9)) for shape in SHAPES])
    found = fit_each(targets, SQUARE, steps=5)
    assert [each.shapes[:, 0].tolist() for each in found] == [ALL.tolist()] * len(SHAPES)
    assert [SHAPES[each.best().shapes[0, 0]] for each in found] == list(SHAPES)
