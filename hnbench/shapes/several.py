"""Several shapes that explain one piece of foreground together: objects of one colour that touch or
overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hnbench.shapes.cuts import cuts
from hnbench.shapes.fitting import ALL, Fit, fit, fit_each
from hnbench.shapes.silhouettes import Floats, Ints, centres, moments

MOST = 4
"""The most objects in one piece."""
GAIN = 0.05
"""By how much each further object must raise the score."""
ENOUGH = 0.88
"""An explanation with this score is not split further."""


class _Part(NamedTuple):
    """A part of a piece: its coverage, `[1, h * w]`, and the shape that fits it best."""

    seen: Floats
    found: Fit


def several(seen: Floats, size: tuple[int, int]) -> Fit | None:
    """The best explanation of a piece (its coverage, `[1, h * w]`) by two to four shapes, as a
    batch of one; None if the piece is too small for two.

    The piece is cut where its halves are shapes most, and its worst part again, as long as that
    raises the score by `GAIN`. Then the shapes are fitted together.
    """
    parts = _halves(seen, size)
    best: Fit | None = None
    while parts:
        shapes = np.concatenate([part.found.shapes for part in parts], 1)
        places = np.concatenate([part.found.places for part in parts], 1)
        found = _refined(seen, size, shapes, places)
        if best and found.scores[0] < best.scores[0] + GAIN:
            return best
        best = found
        if found.scores[0] >= ENOUGH or len(parts) == MOST:
            return best
        worst = min(parts, key=lambda part: float(part.found.scores[0]))
        more = _halves(worst.seen, size)
        parts = [*(part for part in parts if part is not worst), *more] if more else []
    return best


def _halves(seen: Floats, size: tuple[int, int]) -> list[_Part]:
    """The two sides of the cut that leaves the best shapes; none if there is no cut."""
    sides = cuts(seen[0] > 0.5, centres(size))
    if not sides:
        return []
    targets = np.concatenate([np.stack([seen[0] * side, seen[0] * ~side]) for side in sides])
    fits = [found.best() for found in fit_each(targets, size, steps=3)]
    values = np.asarray([found.scores[0] for found in fits]) * targets.sum(1)
    chosen = 2 * int(values.reshape(-1, 2).sum(1).argmax())
    return [_Part(targets[[index]], fits[index]) for index in (chosen, chosen + 1)]


def _refined(seen: Floats, size: tuple[int, int], shapes: Ints, places: Floats) -> Fit:
    """The shapes fitted together, after each was exchanged for every other one."""
    joined = fit(seen, size, shapes, places, steps=3)
    number = shapes.shape[1]
    others = np.repeat(joined.shapes, number * len(ALL), 0)
    beside = np.repeat(joined.places, number * len(ALL), 0)
    area, x, y = moments()
    for index in range(number):
        # The exchanged shape has the area and the centroid of the one before.
        old, (left, top, radius, _) = joined.shapes[0, index], joined.places[0, index]
        radii = radius * np.sqrt(area[old] / area)
        rows = index * len(ALL) + ALL
        others[rows, index] = ALL
        beside[rows, index] = np.stack(
            [left + radius * x[old] - radii * x, top + radius * y[old] - radii * y, radii, radii],
            -1,
        )
    options = fit(seen, size, others, beside, steps=4)
    each = np.arange(number)
    rows = each * len(ALL) + options.scores.reshape(number, len(ALL)).argmax(1)
    both = fit(
        seen, size, options.shapes[rows, each][None], options.places[rows, each][None], steps=4
    )
    return joined.beside(options, both).best()
