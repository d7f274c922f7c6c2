"""Connected pieces of foreground: the coverage and the palette colour of each of their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hnbench.shapes.world import COLOURS, PALETTE, SIZE

if TYPE_CHECKING:
    from hnbench.shapes.drawing import Image

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

FOREGROUND = 132
"""A pixel whose darkest channel is below this belongs to an object. It is half-way between the
backgrounds (200 and more) and the colours (60 and less).
"""
INK = 42
"""The darkest channel at which a pixel is wholly covered; the background's is the other end."""
FAINTEST = 0.08
"""Less coverage than this is noise."""
SMALLEST = 12
"""Pieces with fewer pixels of foreground are ignored as specks. A drawn star of radius 4 has about
18.
"""
LEAST_SHARE = 0.6
"""The least share of an object's pixels that its colour must have."""
MIXED = "mixed"
"""The colour of an object of which no palette colour has the least share."""
MARGIN = 4
"""Pixels around a piece that are looked at too."""
_CONNECTED = np.ones((3, 3), np.int8)
"""Pixels that touch at a corner are connected too."""


@dataclass(frozen=True)
class Piece:
    """A connected piece of foreground in its window of `[height, width]` pixels."""

    left: int
    top: int
    coverage: Floats
    """How much of each pixel is covered, in [0, 1], `[height, width]`; 0 where another piece is."""
    labels: npt.NDArray[np.int8]
    """The index of the nearest palette colour, and -1 for pixels that are not foreground of the
    piece, `[height, width]`.
    """

    def parts_by_colour(self) -> list[Bools]:
        """The masks of its connected parts of one colour that are not specks."""
        found: list[Bools] = []
        for colour in np.unique(self.labels[self.labels >= 0]):
            parts, count = ndimage.label(self.labels == colour, _CONNECTED)
            found.extend(parts == part for part in range(1, count + 1))
        return [mask for mask in found if mask.sum() >= SMALLEST]

    def colour(self, mask: Bools) -> str:
        """The majority colour of the masked foreground, or `MIXED`."""
        labels = self.labels[mask & (self.labels >= 0)]
        shares = np.bincount(labels, minlength=len(COLOURS)) / max(labels.size, 1)
        best = int(shares.argmax())
        return COLOURS[best] if shares[best] >= LEAST_SHARE else MIXED


def pieces_of(image: Image) -> list[Piece]:
    """The connected pieces of foreground of an RGB image, uint8 `[64, 64, 3]`, without specks."""
    pixels = image.astype(np.float32)
    darkest = pixels.min(-1)
    foreground = darkest < FOREGROUND
    if not foreground.any():
        return []
    paper = (
        np.full(3, 255, np.float32) if foreground.all() else np.median(pixels[~foreground], axis=0)
    )
    covered = np.clip((paper.min() - darkest) / (paper.min() - INK), 0, 1)
    labels = np.full(foreground.shape, -1, np.int8)
    labels[foreground] = _nearest(pixels[foreground], covered[foreground, None], paper)
    covered[covered < FAINTEST] = 0
    numbered, count = ndimage.label(foreground, _CONNECTED)
    # Soft edges belong to the nearest piece, if it is at most two pixels away.
    near = ndimage.grey_dilation(numbered, size=(5, 5))
    owner = np.where(numbered > 0, numbered, near)
    found: list[Piece] = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), 1):
        core = numbered[rows, columns] == number
        if core.sum() < SMALLEST:
            continue
        window = (_wider(rows), _wider(columns))
        found.append(
            Piece(
                window[1].start,
                window[0].start,
                _scaled(np.where(owner[window] == number, covered[window], 0)),
                np.where(numbered[window] == number, labels[window], -1).astype(np.int8),
            )
        )
    return found


def _nearest(pixels: Floats, covered: Floats, paper: Floats) -> npt.NDArray[np.intp]:
    """The index of the palette colour nearest to each pixel, `[p, 3]`, without its share of the
    background, `[3]`.
    """
    own = paper + (pixels - paper) / covered
    palette = np.asarray([PALETTE[colour] for colour in COLOURS], np.float32)
    return ((own[:, None] - palette) ** 2).sum(-1).argmin(-1)


def _wider(span: slice) -> slice:
    return slice(max(span.start - MARGIN, 0), min(span.stop + MARGIN, SIZE))


def _scaled(coverage: Floats) -> Floats:
    """The coverage, so that the inside of a pale object is wholly covered too."""
    return np.clip(coverage / np.quantile(coverage[coverage > 0.5], 0.9), 0, 1).astype(np.float32)
