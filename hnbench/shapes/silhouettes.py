"""Silhouettes of the seven shapes that are fitted to soft masks: the places and radii at which one
shape, or several together, explain a piece of an image best.

A silhouette is a table of signed distances to the outline of the shape of radius 1, so that all
places, radii and softnesses are read from one table, with their derivatives. The fit is
Gauss-Newton on the absolute difference between the drawn and the seen coverage (weights 1 /
|difference|), because the intersection over union of two soft masks is `(S - D) / (S + D)`, where D
is that difference and S is the sum of both.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hnbench.shapes.drawing import inside
from hnbench.shapes.world import SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

RADII = (2.5, 16.0)
"""The smallest and the largest radius of a silhouette in pixels."""
SHARP = 1.2
"""The width of a sharp outline's edge in pixels."""
BLURS = (0.0, 0.7, 1.2)
"""Blurs (sigma in pixels) through which a silhouette may be seen: a fit counts at the blur that
suits it best.
"""
LARGEST_CUT = 0.2
"""The largest share of a shape's area that a straight cut may have removed."""
CUT_COST = 0.3
"""How much a removed share lowers the score."""
_COARSE = (4.0, 2.0, 1.2)
"""Widths of the first steps of a fit: a wide edge feels an outline that is further away."""
_CELLS = 40
"""Cells of the table per radius."""
_FINER = 2
"""How many times finer the grid is on which distances are measured."""
_REACH = 1.75
"""The table ends at this distance from the centre, in radii. Points further out are outside."""
_SIDE = round(2 * _REACH * _CELLS)
_POINTS = 2
"""Points per pixel and axis at which a silhouette is drawn."""
_FLOOR = 0.1
"""The difference of coverage below which a pixel has no more weight."""
_STEP = 1.5
"""The longest step in pixels."""


class Fit(NamedTuple):
    """The best places of a batch of hypotheses, each of `n` shapes that are seen together."""

    shapes: Ints
    """Indices of `SHAPES`, `[batch, n]`."""
    places: Floats
    """Centre x, centre y (pixel corners are whole numbers) and radius in pixels, `[batch, n, 3]`."""
    drawn: Floats
    """The coverage of each pixel by all shapes of a hypothesis, blurred, `[batch, h * w]`."""
    scores: Floats
    """Soft intersection over union with the target, in [0, 1], `[batch]`."""

    def take(self, rows: Sequence[int] | Ints) -> Fit:
        """The hypotheses with these indices."""
        return Fit(*(part[rows] for part in self))


@cache
def _tables() -> Floats:
    """The signed distance to the outline (negative inside) in radii, and its derivatives to the
    right and down, `[3, 7 * side * side]`, for each shape, row and column.
    """
    fine = _CELLS * _FINER
    axis = (np.arange(_SIDE * _FINER) + 0.5) / fine - _REACH
    x, y = np.meshgrid(axis, axis)
    tables = []
    for shape in SHAPES:
        within = inside(shape, x, y)
        # The outline lies half a cell before the nearest cell on its other side.
        distance = np.where(
            within,
            0.5 - ndimage.distance_transform_edt(within),
            ndimage.distance_transform_edt(~within) - 0.5,
        )
        coarse = (distance / fine).reshape(_SIDE, _FINER, _SIDE, _FINER).mean((1, 3))
        down, right = np.gradient(coarse, 1 / _CELLS)
        tables.append(np.stack([coarse, right, down]))
    return np.stack(tables, 1).reshape(3, -1).astype(np.float32)


@cache
def moments() -> Floats:
    """For each shape of radius 1: its area, and its centroid x and y, `[7, 3]`."""
    axis = (np.arange(400) + 0.5) / 200 - 1
    x, y = np.meshgrid(axis, axis)
    masks = [inside(shape, x, y) for shape in SHAPES]
    return np.asarray(
        [(mask.mean() * 4, x[mask].mean(), y[mask].mean()) for mask in masks], np.float32
    )


def _cells(shapes: Ints, places: Floats, size: tuple[int, int], finer: int = 1) -> Ints:
    """The table's cell for each hypothesis, shape and point of a window, `[b, n, points]`, with
    `finer` points per pixel and axis.
    """
    indices = []
    for axis, length in ((0, size[1]), (1, size[0])):
        along = (np.arange(length * finer, dtype=np.float32) + np.float32(0.5)) / finer
        own = (along - places[:, :, axis, None]) / places[:, :, 2, None]
        own = np.clip(own, -_REACH + 0.01, _REACH - 0.01)
        indices.append(((own + _REACH) * _CELLS).astype(np.int32))
    columns, rows = indices
    rows = (shapes[:, :, None].astype(np.int32) * _SIDE + rows) * _SIDE
    return (rows[..., :, None] + columns[..., None, :]).reshape(*shapes.shape, -1)


def distances(shapes: Ints, places: Floats, size: tuple[int, int]) -> Floats:
    """The signed distance in pixels from each pixel's centre to each shape's outline (negative
    inside), `[b, n, h * w]`.
    """
    return _tables()[0].take(_cells(shapes, places, size)) * places[:, :, 2:]


def render(shapes: Ints, places: Floats, size: tuple[int, int]) -> Floats:
    """The coverage of each pixel by each shape, in [0, 1], `[b, n, h * w]`: the mean over 2x2
    points, because tips of stars are narrower than a pixel.
    """
    cells = _cells(shapes, places, size, _POINTS)
    fine = coverage(_tables()[0].take(cells) * places[:, :, 2:], SHARP / _POINTS)
    fine = fine.reshape(*shapes.shape, size[0], _POINTS, size[1], _POINTS)
    return fine.mean((3, 5)).reshape(*shapes.shape, -1)


def coverage(distance: Floats, width: float = SHARP) -> Floats:
    """The coverage in [0, 1] at signed distances in pixels, for an edge of this width."""
    found = distance * np.float32(-1 / width)
    found += np.float32(0.5)
    return np.clip(found, 0, 1, out=found)


def overlap(seen: Floats, drawn: Floats) -> Floats:
    """Soft intersection over union along the last axis, in [0, 1]."""
    shared = np.minimum(seen, drawn).sum(-1)
    either = seen.sum(-1) + drawn.sum(-1) - shared
    return np.asarray(shared / np.maximum(either, 1e-6))


def fit(
    seen: Floats, size: tuple[int, int], shapes: Ints, places: Floats, steps: int = 6
) -> Fit:
    """The hypotheses after `steps` steps of the fit to `seen`.

    `seen` is the coverage of the pixels of a window of `size` (height, width), `[1, h * w]` for all
    hypotheses or `[batch, h * w]`; `shapes` and `places` are as in `Fit`.
    """
    places = places.copy()
    for step in range(steps):
        width = _COARSE[min(step, len(_COARSE) - 1)]
        places += np.clip(_move(seen, size, shapes, places, width), -_STEP, _STEP)
        np.clip(places[..., 2], *RADII, out=places[..., 2])
    drawn = render(shapes, places, size).max(1)
    seen_through = [_blurred(drawn, size, sigma) for sigma in BLURS]
    scores = np.stack([overlap(seen, each) for each in seen_through])
    best = scores.argmax(0)
    chosen = np.stack(seen_through)[best, np.arange(len(best))]
    return Fit(shapes, places, chosen, scores.max(0))


@cache
def _kernel(length: int, sigma: float) -> Floats:
    """The matrix that blurs a line of pixels by a Gaussian of `sigma` pixels, `[length, length]`.
    Beyond the ends there is nothing.
    """
    away = np.arange(length)[:, None] - np.arange(length)
    weights = np.exp(-((away / sigma) ** 2) / 2)
    full = np.exp(-((np.arange(-9, 10) / sigma) ** 2) / 2).sum()
    return (weights / full).astype(np.float32)


def _blurred(drawn: Floats, size: tuple[int, int], sigma: float) -> Floats:
    if not sigma:
        return drawn
    down, across = (_kernel(length, sigma) for length in size)
    return (down @ drawn.reshape(-1, *size) @ across).reshape(drawn.shape)


def _move(
    seen: Floats, size: tuple[int, int], shapes: Ints, places: Floats, width: float
) -> Floats:
    """The change of the places, `[batch, n, 3]`, by one step of Gauss-Newton."""
    batch, number = shapes.shape
    cells = _cells(shapes, places, size)
    distance = _tables()[0].take(cells) * places[:, :, 2:]
    if number > 1:
        nearest = distance.argmin(1)[:, None]
        distance = np.take_along_axis(distance, nearest, 1)
        cells = np.take_along_axis(cells, nearest, 1)
        which = (nearest + np.arange(0, batch * number, number)[:, None, None]).ravel()
    # Only pixels on the edge say where to go, and each belongs to one shape.
    flat = distance.ravel()
    edge = np.flatnonzero(np.abs(flat) < width / 2)
    pixel = edge % distance.shape[-1]
    hypothesis = edge // distance.shape[-1]
    shape = which[edge] if number > 1 else hypothesis
    target = seen[0, pixel] if len(seen) == 1 else seen[hypothesis, pixel]
    error = target - coverage(flat[edge], width)
    weight = 1 / (np.abs(error) + np.float32(_FLOOR))
    level, right, down = _tables()[:, cells.ravel()[edge]]
    x, y, radius = places.reshape(-1, 3)[shape].T
    outward = (pixel % size[1] + 0.5 - x) * right + (pixel // size[1] + 0.5 - y) * down
    # How coverage changes with the centre and the radius.
    change = np.stack([right, down, outward / radius - level]) / np.float32(width)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    normal = np.empty((batch * number, 3, 3))
    weighted = change * weight
    for i, j in pairs:
        normal[:, i, j] = np.bincount(shape, weighted[i] * change[j], batch * number)
        normal[:, j, i] = normal[:, i, j]
    normal += np.eye(3)
    slope = np.stack([np.bincount(shape, each * error, batch * number) for each in weighted], -1)
    move = np.linalg.solve(normal, slope[..., None])
    return move.reshape(batch, number, 3).astype(np.float32)


def points(size: tuple[int, int]) -> Floats:
    """The centres x, y of the pixels of a window of `size` (height, width), `[h * w, 2]`."""
    rows, columns = np.indices(size, np.float32)
    return np.stack([columns.ravel(), rows.ravel()], -1) + np.float32(0.5)


def starts(seen: Floats, size: tuple[int, int]) -> Floats:
    """The place of each of the seven shapes that has the area and the centroid of each target,
    `[batch, 7, 3]`, for `seen` `[batch, p]`.
    """
    total = np.maximum(seen.sum(-1), 1e-6)
    centre = (seen @ points(size)) / total[:, None]
    area, x, y = moments().T
    radius = np.clip(np.sqrt(total[:, None] / area), *RADII)
    return np.stack(
        [centre[:, :1] - x * radius, centre[:, 1:] - y * radius, radius], -1
    ).astype(np.float32)


def forgiving(seen: Floats, size: tuple[int, int], found: Fit) -> Floats:
    """The scores of single shapes if a straight cut may have removed a part, `[batch]`: the overlap
    of what is left, less `CUT_COST` times the share that is removed.
    """
    missing = np.maximum(found.drawn - seen, 0)
    xy = points(size)
    centre = (found.drawn @ xy) / found.drawn.sum(-1, keepdims=True)
    way = (missing @ xy) / np.maximum(missing.sum(-1, keepdims=True), 1e-6) - centre
    along = way @ xy.T
    order = np.argsort(-along, axis=1)
    drawn = np.take_along_axis(found.drawn, order, 1)
    there = np.take_along_axis(np.broadcast_to(seen, drawn.shape), order, 1)
    share = np.cumsum(drawn, 1) / drawn.sum(1, keepdims=True)
    both = np.minimum(drawn, there)
    # Of the pixels beyond the cut, only what is seen there counts against the shape.
    left = both.sum(1, keepdims=True) - np.cumsum(both, 1)
    either = (drawn + there - both).sum(1, keepdims=True) - np.cumsum(drawn - both, 1)
    scores = left / either - CUT_COST * share
    scores[share > LARGEST_CUT] = 0
    return np.maximum(found.scores, scores.max(1))
