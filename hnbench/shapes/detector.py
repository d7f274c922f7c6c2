"""Finds shapes, their colours and their places in an image, by classical computer vision.

Nothing here is learned or shared with the rewards. Shape comes first: a connected piece of
foreground is one shape, or its parts of one colour are shapes, or several shapes that touch or
overlap, whichever explains its outline best. Colour comes second: an object has the colour that
most of its pixels have. All constants were fixed on drawn images
(`python -m hnbench.shapes_training.calibration`), never on generated ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hnbench.detections import Detection
from hnbench.shapes.fitting import Fit, fit, fit_each, forgiving, overlap
from hnbench.shapes.pieces import Bools, Piece, pieces_of
from hnbench.shapes.several import GAIN, several
from hnbench.shapes.silhouettes import distances
from hnbench.shapes.world import SHAPES

if TYPE_CHECKING:
    from hnbench.shapes.drawing import Image
    from hnbench.shapes.silhouettes import Floats

THRESHOLD = 0.75
"""The score (soft intersection over union with a silhouette) above which a shape counts as an
object.
"""
CLEAR = 0.93
"""A first fit with this score is not improved."""
PLAIN = 0.88
"""A piece that is one shape with this score is not explained by several."""
RIVALS = 0.12
"""Shapes whose first score is this much below the best one are not tried again."""
MOVES = ((0.0, 0.0), (-0.2, 0.0), (0.2, 0.0), (0.0, -0.2), (0.0, 0.2))
"""Where second fits begin, in radii from the first place: a cut object's centre is elsewhere."""
LARGER = 1.08
"""How much larger second fits begin: a cut object is larger than what is left of it."""


class Part(NamedTuple):
    """One object of a piece: its score in [0, 1], its shape's index and its foreground,
    `[height, width]`.
    """

    score: float
    shape: int
    mask: Bools


class _Explanation(NamedTuple):
    """The objects that a piece consists of, and how well they explain it, in [0, 1]."""

    score: float
    parts: list[Part]

    @property
    def value(self) -> float:
        """The score, less what further objects must gain."""
        return self.score - GAIN * (len(self.parts) - 1)


def detect(image: Image) -> dict[str, list[Detection]]:
    """Shape -> detections, for an RGB image, uint8 `[64, 64, 3]`. A detection's score is in [0, 1];
    its colour is a palette colour, or "mixed" if no colour has enough of it.
    """
    found: dict[str, list[Detection]] = {}
    for piece in pieces_of(image):
        for part in explain(piece):
            found.setdefault(SHAPES[part.shape], []).append(
                Detection(piece.box(part.mask), part.score, piece.colour(part.mask))
            )
    return found


def explain(piece: Piece) -> list[Part]:
    """The objects of a piece. Those with a low score are no shapes."""
    seen = piece.coverage.reshape(1, -1)
    one = _one(seen, piece)
    if one.score >= PLAIN:
        return one.parts
    options = [one, _by_colour(piece), _together(seen, piece)]
    best = max((each for each in options if each), key=lambda each: each.value)
    return [part for part in best.parts if part.mask.any()]


def _one(seen: Floats, piece: Piece) -> _Explanation:
    """The piece as one shape."""
    size = piece.coverage.shape
    found = fit_each(seen, size, steps=6)[0]
    best = found.best()
    if best.scores[0] < CLEAR:
        best = _again(seen, size, found)
    score = float(best.scores[0])
    return _Explanation(score, [Part(score, int(best.shapes[0, 0]), piece.foreground)])


def _again(seen: Floats, size: tuple[int, int], found: Fit) -> Fit:
    """The best shape, if its place, its sides' ratio and a cut are tried too."""
    rivals = found.take(np.flatnonzero(found.scores > found.scores.max() - RIVALS))
    shapes, places = (
        np.repeat(rivals.shapes, len(MOVES), 0),
        np.repeat(rivals.places, len(MOVES), 0),
    )
    moves = np.tile(np.asarray(MOVES, np.float32), (len(rivals.shapes), 1))
    places[:, 0, :2] += moves * places[:, 0, 2:]
    places[:, 0, 2:] *= LARGER
    every = found.beside(fit(seen, size, shapes, places, steps=5, stretch=True))
    return every._replace(scores=forgiving(seen, size, every)).best()


def _by_colour(piece: Piece) -> _Explanation | None:
    """Each part of one colour as one shape; None for a piece of one colour."""
    masks = piece.parts_by_colour()
    if len(masks) < 2:
        return None
    targets = np.stack([piece.coverage_of(mask).ravel() for mask in masks])
    fits = [found.best() for found in fit_each(targets, piece.coverage.shape, steps=6)]
    parts = [
        Part(float(found.scores[0]), int(found.shapes[0, 0]), mask)
        for found, mask in zip(fits, masks, strict=True)
    ]
    explained = sum(part.score * part.mask.sum() for part in parts)
    return _Explanation(float(explained / piece.foreground.sum()), parts)


def _together(seen: Floats, piece: Piece) -> _Explanation | None:
    """The piece as several shapes; None if it is too small."""
    size = piece.coverage.shape
    found = several(seen, size)
    if found is None:
        return None
    nearest = distances(found.shapes, found.places, size)[0].argmin(0)
    parts = []
    for index, shape in enumerate(found.shapes[0]):
        own = nearest == index
        score = overlap(np.where(own, seen[0], 0), np.where(own, found.drawn[0], 0))
        parts.append(Part(float(score), int(shape), piece.foreground & own.reshape(size)))
    return _Explanation(float(found.scores[0]), parts)
