"""Silhouettes of the seven shapes at any place and of any size.

A silhouette is a table of signed distances to the outline of the shape of radius 1, so that all
places and radii are read from one table, with their derivatives. In all of the judge, places are
`[batch, n, 4]`: centre x and y (whole numbers are pixel corners), and the radii along x and y, in
pixels; `shapes` are indices of `SHAPES`, `[batch, n]`; and a window has a `size` (height, width),
its pixels in one line.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hnbench.shapes.drawing import inside
from hnbench.shapes.world import SHAPES

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

SHARP = 1.2
"""The width of a sharp outline's edge in pixels."""
CELLS = 40
"""Cells of the table per radius."""
REACH = 1.75
"""The table ends at this distance from the centre, in radii. Points further out are outside."""
POINTS = 2
"""Points per pixel and axis at which a silhouette is drawn: tips of stars are narrower than a
pixel.
"""
_FINER = 2
"""How many times finer the grid is on which distances are measured."""
_SIDE = round(2 * REACH * CELLS)


@cache
def tables() -> Floats:
    """The signed distance to the outline (negative inside) in radii, and its derivatives to the
    right and down, `[3, cells]`, for each shape, row and column.
    """
    fine = CELLS * _FINER
    axis = (np.arange(_SIDE * _FINER) + 0.5) / fine - REACH
    x, y = np.meshgrid(axis, axis)
    found = []
    for shape in SHAPES:
        within = inside(shape, x, y)
        # The outline lies half a cell before the nearest cell on its other side.
        distance = np.where(
            within,
            0.5 - ndimage.distance_transform_edt(within),
            ndimage.distance_transform_edt(~within) - 0.5,
        )
        coarse = (distance / fine).reshape(_SIDE, _FINER, _SIDE, _FINER).mean((1, 3))
        down, right = np.gradient(coarse, 1 / CELLS)
        found.append(np.stack([coarse, right, down]))
    return np.stack(found, 1).reshape(3, -1).astype(np.float32)


@cache
def moments() -> Floats:
    """The area of each shape of radius 1, and its centroid's x and y, `[3, 7]`."""
    axis = (np.arange(400) + 0.5) / 200 - 1
    x, y = np.meshgrid(axis, axis)
    masks = [inside(shape, x, y) for shape in SHAPES]
    areas = [mask.mean() * 4 for mask in masks]
    centroids = [[along[mask].mean() for mask in masks] for along in (x, y)]
    return np.asarray([areas, *centroids], np.float32)


def cells(shapes: Ints, places: Floats, size: tuple[int, int], finer: int = 1) -> Ints:
    """The cell of the tables at each point of a window, `[batch, n, points]`, with `finer` points
    per pixel and axis.
    """
    indices = []
    for axis, length in ((0, size[1]), (1, size[0])):
        along = (np.arange(length * finer, dtype=np.float32) + np.float32(0.5)) / finer
        own = (along - places[:, :, axis, None]) / places[:, :, 2 + axis, None]
        indices.append(((np.clip(own, 0.01 - REACH, REACH - 0.01) + REACH) * CELLS).astype(np.intp))
    columns, rows = indices
    starts = (shapes[:, :, None] * _SIDE + rows) * _SIDE
    return (starts[..., :, None] + columns[..., None, :]).reshape(*shapes.shape, -1)


def scale(places: Floats) -> Floats:
    """The geometric mean of each shape's radii in pixels, `[batch, n, 1]`."""
    return np.asarray(np.sqrt(places[:, :, 2:3] * places[:, :, 3:4]))


def distances(shapes: Ints, places: Floats, size: tuple[int, int]) -> Floats:
    """The signed distance in pixels from each pixel's centre to each shape's outline (negative
    inside), `[batch, n, h * w]`. It is exact for equal radii.
    """
    return np.asarray(tables()[0].take(cells(shapes, places, size)) * scale(places))


def coverage(distance: Floats, width: float) -> Floats:
    """The coverage in [0, 1] at signed distances in pixels, for an edge of this width in pixels."""
    found = distance * np.float32(-1 / width)
    found += np.float32(0.5)
    return np.clip(found, 0, 1, out=found)


def render(shapes: Ints, places: Floats, size: tuple[int, int]) -> Floats:
    """The coverage of each pixel by each shape, in [0, 1], `[batch, n, h * w]`."""
    fine = tables()[0].take(cells(shapes, places, size, POINTS)) * scale(places)
    drawn = coverage(fine, SHARP / POINTS).reshape(
        *shapes.shape, size[0] * POINTS, size[1] * POINTS
    )
    # Sums of slices take a third of the time of a mean over two axes.
    rows = np.add.reduce([drawn[..., start::POINTS, :] for start in range(POINTS)])
    both = np.add.reduce([rows[..., start::POINTS] for start in range(POINTS)])
    return np.asarray(both / POINTS**2).reshape(*shapes.shape, -1)


def centres(size: tuple[int, int]) -> Floats:
    """The centres x, y of the pixels of a window, `[h * w, 2]`."""
    rows, columns = np.indices(size, np.float32)
    return np.stack([columns.ravel(), rows.ravel()], -1) + np.float32(0.5)
