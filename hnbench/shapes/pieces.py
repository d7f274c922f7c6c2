"""Connected pieces of foreground: the coverage and the palette colour of each of their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hnbench.shapes.world import COLOURS, PALETTE

if TYPE_CHECKING:
    from hnbench.detections import Box
    from hnbench.shapes.drawing import Image
    from hnbench.shapes.silhouettes import Floats

Bools = npt.NDArray[np.bool_]

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
    """Where the window begins in the image, in pixels; it may begin before the image does."""
    coverage: Floats
    """How much of each pixel is covered, in [0, 1], `[height, width]`; 0 where another piece is."""
    labels: npt.NDArray[np.int8]
    """The index of the nearest palette colour, and -1 for pixels that are not foreground of the
    piece, `[height, width]`.
    """

    @property
    def foreground(self) -> Bools:
        """The foreground of the piece, `[height, width]`."""
        return self.labels >= 0

    def box(self, mask: Bools) -> Box:
        """The box around the masked pixels, in pixels of the image."""
        left, top, right, bottom = box_around(mask)
        return self.left + left, self.top + top, self.left + right, self.top + bottom

    def coverage_of(self, mask: Bools) -> Floats:
        """The coverage by a part of the foreground: its own pixels and the soft edge beside them,
        `[height, width]`.
        """
        edge = ndimage.binary_dilation(mask) & ~self.foreground
        return np.where(edge | mask, self.coverage, 0)

    def parts_by_colour(self) -> list[Bools]:
        """The masks of its connected parts of one colour that are not specks."""
        found: list[Bools] = []
        for colour in np.unique(self.labels[self.foreground]):
            parts, count = ndimage.label(self.labels == colour, _CONNECTED)
            found.extend(parts == part for part in range(1, count + 1))
        return [mask for mask in found if mask.sum() >= SMALLEST]

    def colour(self, mask: Bools) -> str:
        """The majority colour of a part of the foreground, or `MIXED`."""
        labels = self.labels[mask]
        shares = np.bincount(labels, minlength=len(COLOURS)) / max(labels.size, 1)
        best = int(shares.argmax())
        return COLOURS[best] if shares[best] >= LEAST_SHARE else MIXED


def box_around(mask: Bools) -> Box:
    """The box around the masked pixels of a window, in its pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


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
    # What is outside the image is not seen: an object that the border cuts is a cut object.
    covered = np.pad(covered, MARGIN)
    labels = np.pad(labels, MARGIN, constant_values=-1)
    numbered, _ = ndimage.label(labels >= 0, _CONNECTED)
    # Soft edges belong to the nearest piece, if it is at most two pixels away.
    owner = np.where(numbered > 0, numbered, ndimage.grey_dilation(numbered, size=(5, 5)))
    found: list[Piece] = []
    for number, spans in enumerate(ndimage.find_objects(numbered), 1):
        rows, columns = (slice(span.start - MARGIN, span.stop + MARGIN) for span in spans)
        mine = numbered[rows, columns] == number
        if mine.sum() >= SMALLEST:
            coverage = np.where(owner[rows, columns] == number, covered[rows, columns], 0)
            own = np.where(mine, labels[rows, columns], -1).astype(np.int8)
            found.append(Piece(columns.start - MARGIN, rows.start - MARGIN, _scaled(coverage), own))
    return found


def _nearest(pixels: Floats, covered: Floats, paper: Floats) -> npt.NDArray[np.intp]:
    """The index of the palette colour nearest to each pixel, `[p, 3]`, without its share of the
    background, `[3]`.
    """
    own = paper + (pixels - paper) / covered
    palette = np.asarray([PALETTE[colour] for colour in COLOURS], np.float32)
    return np.asarray(((own[:, None] - palette) ** 2).sum(-1).argmin(-1))


def _scaled(coverage: Floats) -> Floats:
    """The coverage, so that the inside of a pale object is wholly covered too."""
    whole = np.quantile(coverage[coverage > 0.5], 0.9)
    return np.asarray(np.clip(coverage / whole, 0, 1), np.float32)
