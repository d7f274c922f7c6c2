"""Finding shapes, their colours and places in an image by classical vision alone.

Nothing here is learned, and nothing is shared with the rewards: foreground by brightness, objects
by connected components of one palette colour, shape by overlap with the seven silhouettes.
`THRESHOLD` was fixed from drawn images (`python -m hnbench.shapes_training.calibration`) before any
generator was scored.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hnbench.detections import Detection
from hnbench.shapes.drawing import stamp
from hnbench.shapes.world import COLOURS, PALETTE, SHAPES

if TYPE_CHECKING:
    from hnbench.shapes.drawing import Image

Bools = npt.NDArray[np.bool_]

THRESHOLD = 0.75
"""Smallest overlap (intersection over union) with a silhouette at which a blob counts as an object.
"""
FOREGROUND = 132
"""A pixel whose darkest channel is below this belongs to an object: half-way between backgrounds
(200 and up) and colours (60 and down).
"""
SMALLEST = 32
"""Blobs of fewer pixels are specks: the thinnest drawn object (a star of radius 7) covers about 70
sharp and 40 blurred.
"""
MINORITY = 0.2
"""A blob whose second colour covers more than this share is split by colour."""
TEMPLATE = 32
RADII = (7.5, 9.0, 11.0)
BLURS = (0.0, 0.9)
"""Radii and blurs, in pixels, of the silhouettes that blobs are compared with: at this size the
pixel grid is part of the shape.
"""
_CONNECTED = np.ones((3, 3), np.int8)


@cache
def silhouettes() -> npt.NDArray[np.bool_]:
    """Each shape as it is drawn small and large, sharp and blurred, stretched to fill a square;
    bool `[7, 6, 32, 32]`.
    """
    return np.stack(
        [
            np.stack([_silhouette(shape, radius, blur) for radius in RADII for blur in BLURS])
            for shape in SHAPES
        ]
    )


def _silhouette(shape: str, radius: float, blur: float) -> Bools:
    coverage = np.pad(stamp(shape, radius, 0.0, 0.0), 3)
    return _stretched((ndimage.gaussian_filter(coverage, blur) if blur else coverage) >= 0.5)


def _stretched(mask: Bools) -> Bools:
    """The mask's bounding box resampled to 32x32, bilinearly, at one half."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    patch = np.pad(
        mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32),
        1,
        mode="edge",
    )
    height, width = patch.shape[0] - 2, patch.shape[1] - 2
    down, across = (
        (np.arange(TEMPLATE) + 0.5) / TEMPLATE * length + 0.5 for length in (height, width)
    )
    grid = np.meshgrid(down, across, indexing="ij")
    return np.asarray(ndimage.map_coordinates(patch, grid, order=1) >= 0.5)


def shape_of(mask: Bools) -> tuple[str, float]:
    """(best shape, overlap in 0..1) of one blob. A blob more than half again as wide as high, or
    the reverse, is not a shape: overlap 0.
    """
    height, width = (int(np.ptp(np.flatnonzero(mask.any(axis)))) + 1 for axis in (1, 0))
    if max(height, width) > 1.5 * min(height, width):
        return SHAPES[0], 0.0
    own = _stretched(mask)
    known = silhouettes()
    overlap = ((own & known).sum((2, 3)) / (own | known).sum((2, 3))).max(1)
    best = int(overlap.argmax())
    return SHAPES[best], float(overlap[best])


def _labels(image: Image) -> npt.NDArray[np.int8]:
    """The palette index of each foreground pixel, -1 elsewhere. A pixel on an edge takes the
    nearest colour mixed with the background.
    """
    pixels = image.astype(np.float32)
    palette = np.asarray([PALETTE[colour] for colour in COLOURS], np.float32)
    foreground = pixels.min(-1) < FOREGROUND
    distance = ((pixels[:, :, None, :] - palette) ** 2).sum(-1)
    return np.where(foreground, distance.argmin(-1), -1).astype(np.int8)


def _blobs(labels: npt.NDArray[np.int8]) -> list[tuple[Bools, int]]:
    """(mask, palette index) of each object: a connected piece of foreground, split where it has
    several colours.
    """
    found: list[tuple[Bools, int]] = []
    pieces, count = ndimage.label(labels >= 0, _CONNECTED)
    for piece in range(1, count + 1):
        mask = pieces == piece
        shares = np.bincount(labels[mask], minlength=len(COLOURS)) / mask.sum()
        if np.sort(shares)[-2] <= MINORITY:
            found.append((mask, int(shares.argmax())))
            continue
        for colour in np.flatnonzero(shares > 0):
            parts, number = ndimage.label(mask & (labels == colour), _CONNECTED)
            found.extend((parts == part, int(colour)) for part in range(1, number + 1))
    return [(mask, colour) for mask, colour in found if mask.sum() >= SMALLEST]


def detect(image: Image) -> dict[str, list[Detection]]:
    """All blobs of an RGB image `[64, 64, 3]` uint8 by the shape they resemble most; the score is
    the overlap with its silhouette.
    """
    found: dict[str, list[Detection]] = {}
    for mask, colour in _blobs(_labels(image)):
        shape, overlap = shape_of(mask)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        found.setdefault(shape, []).append(Detection(box, overlap, COLOURS[colour]))
    return found
