"""Finds shapes, their colours and their places in an image, by classical computer vision.

Nothing here is learned or shared with the rewards. Foreground is found by brightness, objects are
connected components of one palette colour, and a shape is found by its overlap with the seven
silhouettes. `THRESHOLD` was fixed on drawn images (`python -m hnbench.shapes_training.calibration`)
before any generator was scored.
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
"""The smallest overlap (intersection over union) with a silhouette at which a blob counts as an
object.
"""
FOREGROUND = 132
"""A pixel whose darkest channel is below this belongs to an object. It is half-way between the
backgrounds (200 and more) and the colours (60 and less).
"""
SMALLEST = 32
"""Blobs with fewer pixels are ignored as specks. The thinnest drawn object, a star of radius 7, has
about 70 pixels if it is sharp, and 40 if it is blurred.
"""
MINORITY = 0.2
"""A blob whose second colour covers more than this share is split by colour."""
TEMPLATE = 32
"""The side of a silhouette in pixels."""
RADII = (7.5, 9.0, 11.0)
BLURS = (0.0, 0.9)
"""Radii and blurs, in pixels, of the silhouettes that blobs are compared with. Several are needed,
because the pixel grid changes shapes of this size.
"""
_CONNECTED = np.ones((3, 3), np.int8)
"""Pixels that touch at a corner are connected too."""


@cache
def silhouettes() -> npt.NDArray[np.bool_]:
    """The silhouettes of each shape, bool `[7, 6, 32, 32]`: small to large, sharp and blurred, each
    stretched to fill its square.
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
    """The mask's bounding box, resampled bilinearly to 32x32 and cut off at one half."""
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
    """The best shape of one blob, and its overlap in [0, 1]. A blob whose longer side is more than
    1.5 times the shorter is not a shape, and has overlap 0.
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
    """The index of the nearest palette colour for each foreground pixel, -1 elsewhere. The colour
    of a pixel on an edge is mixed with the background.
    """
    pixels = image.astype(np.float32)
    palette = np.asarray([PALETTE[colour] for colour in COLOURS], np.float32)
    foreground = pixels.min(-1) < FOREGROUND
    distance = ((pixels[:, :, None, :] - palette) ** 2).sum(-1)
    return np.where(foreground, distance.argmin(-1), -1).astype(np.int8)


def _blobs(labels: npt.NDArray[np.int8]) -> list[tuple[Bools, int]]:
    """The mask and the palette index of each object. An object is a connected piece of foreground;
    a piece of several colours is split.
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
    """Shape -> detections, for an RGB image, uint8 `[64, 64, 3]`. Each blob counts for the shape
    that it resembles most; its score is the overlap with the silhouette, in [0, 1].
    """
    found: dict[str, list[Detection]] = {}
    for mask, colour in _blobs(_labels(image)):
        shape, overlap = shape_of(mask)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        found.setdefault(shape, []).append(Detection(box, overlap, COLOURS[colour]))
    return found
