"""Fits silhouettes to the coverage of a window: the places and radii at which one shape, or several
together, explain it best.

The measure is the intersection over union of two soft masks. It equals `(S - D) / (S + D)`, where D
is the sum of their absolute differences and S the sum of both. So the fit is Gauss-Newton on the
absolute difference: least squares with weights 1 / |difference|.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hnbench.shapes.silhouettes import (
    SHARP,
    Floats,
    Ints,
    cells,
    centres,
    coverage,
    moments,
    render,
    scale,
    tables,
)
from hnbench.shapes.world import SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

RADII = (2.5, 14.0)
"""The smallest and the largest radius of a silhouette in pixels."""
STRETCH = 1.2
"""The largest ratio of a stretched silhouette's radius to the geometric mean of both."""
BLURS = (0.0, 0.7, 1.2)
"""Blurs (sigma in pixels) through which a silhouette may be seen: a fit counts at the blur that
suits it best.
"""
LARGEST_CUT = 0.2
"""The largest share of a shape's area that a straight cut may have removed."""
CUT_COST = 0.3
"""How much a removed share lowers the score."""
WIDTHS = (4.0, 2.0, SHARP)
"""Widths in pixels of the outline in the first steps of a fit; the last stays. A wide edge feels an
outline that is further away.
"""
FLOOR = 0.1
"""The difference of coverage below which a pixel has no more weight."""
LONGEST = 1.5
"""The longest step in pixels."""
ALL = np.arange(len(SHAPES))
"""The indices of all shapes."""


class Fit(NamedTuple):
    """The places of a batch of hypotheses, each of `n` shapes that are seen together."""

    shapes: Ints
    """Indices of `SHAPES`, `[batch, n]`."""
    places: Floats
    """Centres and radii in pixels, `[batch, n, 4]`."""
    drawn: Floats
    """The coverage of each pixel by a hypothesis, in [0, 1], `[batch, h * w]`."""
    scores: Floats
    """Soft intersection over union with what is seen, in [0, 1], `[batch]`."""

    def take(self, rows: Sequence[int] | Ints) -> Fit:
        """The hypotheses with these indices."""
        return Fit(self.shapes[rows], self.places[rows], self.drawn[rows], self.scores[rows])

    def best(self) -> Fit:
        """The hypothesis with the highest score, as a batch of one."""
        return self.take([int(self.scores.argmax())])

    def beside(self, *others: Fit) -> Fit:
        """These hypotheses and the others, of as many shapes, in one batch."""
        return Fit(*(np.concatenate(parts) for parts in zip(self, *others, strict=True)))


def overlap(seen: Floats, drawn: Floats) -> Floats:
    """Soft intersection over union along the last axis, in [0, 1]."""
    shared = np.minimum(seen, drawn).sum(-1)
    either = seen.sum(-1) + drawn.sum(-1) - shared
    return np.asarray(shared / np.maximum(either, 1e-6))


def fit(
    seen: Floats,
    size: tuple[int, int],
    shapes: Ints,
    places: Floats,
    *,
    steps: int,
    stretch: bool = False,
) -> Fit:
    """The hypotheses after `steps` steps from `places`.

    `seen` is the coverage of the window's pixels, `[1, h * w]` for all hypotheses or
    `[batch, h * w]`. The radii along x and y stay equal, unless `stretch`.
    """
    places = places.copy()
    for step in range(steps):
        width = WIDTHS[min(step, len(WIDTHS) - 1)]
        move = _move(seen, size, shapes, places, width, stretch=stretch)
        places += np.clip(move, -LONGEST, LONGEST)
        places[..., 2:] = np.maximum(places[..., 2:], 1)
        middle = scale(places)
        ratio = np.clip(places[..., 2:] / middle, 1 / STRETCH, STRETCH)
        places[..., 2:] = ratio * np.clip(middle, *RADII)
    sharp = render(shapes, places, size).max(1)
    drawn = np.stack([_blurred(sharp, size, sigma) for sigma in BLURS])
    scores = overlap(seen, drawn)
    best = scores.argmax(0)
    return Fit(shapes, places, drawn[best, np.arange(len(best))], scores.max(0))


def _move(
    seen: Floats,
    size: tuple[int, int],
    shapes: Ints,
    places: Floats,
    width: float,
    *,
    stretch: bool,
) -> Floats:
    """The change of the places, `[batch, n, 4]`, by one step of Gauss-Newton."""
    batch, number = shapes.shape
    where = cells(shapes, places, size)
    distance = tables()[0].take(where) * scale(places)
    owner = np.arange(batch)[:, None, None]
    if number > 1:
        nearest = distance.argmin(1)[:, None]
        distance, where = (np.take_along_axis(each, nearest, 1) for each in (distance, where))
        owner = owner * number + nearest
    # Only pixels on an edge say where to go, and each belongs to one shape.
    edge = np.flatnonzero(np.abs(distance.ravel()) < width / 2)
    hypothesis, pixel = np.divmod(edge, distance.shape[-1])
    shape = np.broadcast_to(owner, distance.shape).ravel()[edge]
    target = seen[0, pixel] if len(seen) == 1 else seen[hypothesis, pixel]
    error = target - coverage(distance.ravel()[edge], width)
    level, right, down = tables()[:, where.ravel()[edge]]
    x, y, wide, high = places.reshape(-1, 4)[shape].T
    middle = np.sqrt(wide * high)
    right, down = right * (middle / wide), down * (middle / high)
    level = level * middle / 2
    row, column = np.divmod(pixel.astype(np.float32), np.float32(size[1]))
    # How coverage changes with the centre and the radii.
    change = np.asarray(
        [
            right,
            down,
            (right * (column + np.float32(0.5) - x) - level) / wide,
            (down * (row + np.float32(0.5) - y) - level) / high,
        ],
        np.float32,
    ) / np.float32(width)
    if not stretch:
        change = np.stack([change[0], change[1], change[2] + change[3]])
    move = _solved(change, error, shape, batch * number)
    return (move if stretch else move[:, [0, 1, 2, 2]]).reshape(places.shape).astype(np.float32)


def _solved(change: Floats, error: Floats, group: Ints, groups: int) -> Floats:
    """The least absolute error of each group of pixels, to first order, `[groups, free]`: `change`
    is `[free, pixels]`; `error` and `group` are `[pixels]`.
    """
    weighted = change / (np.abs(error) + np.float32(FLOOR))
    free = len(change)
    normal = np.empty((groups, free, free))
    for i in range(free):
        for j in range(i, free):
            normal[:, i, j] = np.bincount(group, weighted[i] * change[j], groups)
            normal[:, j, i] = normal[:, i, j]
    slope = np.stack([np.bincount(group, each * error, groups) for each in weighted], -1)
    return np.asarray(np.linalg.solve(normal + np.eye(free), slope[..., None])[..., 0])


@cache
def _kernel(length: int, sigma: float) -> Floats:
    """The matrix that blurs a line of pixels by a Gaussian, `[length, length]`. Beyond the line
    there is nothing.
    """
    away = np.arange(1 - length, length)
    weights = np.exp(-((away / sigma) ** 2) / 2)
    weights /= weights.sum()
    rows = np.arange(length)
    return np.asarray(weights[rows[:, None] - rows + length - 1], np.float32)


def _blurred(drawn: Floats, size: tuple[int, int], sigma: float) -> Floats:
    if not sigma:
        return drawn
    down, across = (_kernel(length, sigma) for length in size)
    blurred = down @ drawn.reshape(-1, *size) @ across
    return np.asarray(blurred.reshape(drawn.shape), np.float32)


def fit_each(seen: Floats, size: tuple[int, int], *, steps: int) -> list[Fit]:
    """For each target of `seen`, `[targets, h * w]`, the fits of all seven shapes. They begin with
    the target's area and centroid.
    """
    total = np.maximum(seen.sum(-1, keepdims=True), 1e-6)
    area, x, y = moments()
    radius = np.clip(np.sqrt(total / area), *RADII)
    centre = seen @ centres(size) / total
    places = np.stack(
        [centre[:, :1] - x * radius, centre[:, 1:] - y * radius, radius, radius], -1
    ).reshape(-1, 1, 4)
    targets = np.repeat(seen, len(ALL), 0) if len(seen) > 1 else seen
    found = fit(targets, size, np.tile(ALL, len(seen))[:, None], places, steps=steps)
    return [found.take(len(ALL) * index + ALL) for index in range(len(seen))]


def forgiving(seen: Floats, size: tuple[int, int], found: Fit) -> Floats:
    """The scores of single shapes if a straight cut may have removed a part, `[batch]`: the overlap
    of what is left, less `CUT_COST` times the share that is removed.
    """
    missing = np.maximum(found.drawn - seen, 0)
    points = centres(size)
    middle = (found.drawn @ points) / np.maximum(found.drawn.sum(-1, keepdims=True), 1e-6)
    way = (missing @ points) / np.maximum(missing.sum(-1, keepdims=True), 1e-6) - middle
    # From the side where most is missing to the other.
    order = np.argsort(-(way @ points.T), axis=1, kind="stable")
    drawn = np.take_along_axis(found.drawn, order, 1)
    there = np.take_along_axis(np.broadcast_to(seen, drawn.shape), order, 1)
    share = np.cumsum(drawn, 1) / np.maximum(drawn.sum(1, keepdims=True), 1e-6)
    both = np.minimum(drawn, there)
    # Beyond the cut, only what is seen counts against the shape.
    left = both.sum(1, keepdims=True) - np.cumsum(both, 1)
    either = (drawn + there - both).sum(1, keepdims=True) - np.cumsum(drawn - both, 1)
    scores = left / np.maximum(either, 1e-6) - CUT_COST * share
    scores[share > LARGEST_CUT] = 0
    return np.asarray(np.maximum(found.scores, scores.max(1)))
