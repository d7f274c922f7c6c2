"""Straight cuts through a piece of foreground, where several objects may have grown together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hnbench.shapes.pieces import SMALLEST

if TYPE_CHECKING:
    from hnbench.shapes.pieces import Bools
    from hnbench.shapes.silhouettes import Floats

ANGLES = 12
"""Directions of cuts, evenly spread over half a turn."""
CUTS = 6
"""The most cuts that are tried."""
SIDE = 0.08
"""The least share of a piece on each side of a cut, and the share by which two cuts differ."""


def cuts(mask: Bools, points: Floats) -> list[Bools]:
    """One side of each of the best cuts, over all `points` (`[p, 2]`), best first; `mask` says
    which of them belong to the piece. A cut is good if it is short for the smaller of the two
    sides.
    """
    inner = np.flatnonzero(mask)
    sides: list[Bools] = []
    for _, along, at in sorted(_necks(inner, points), key=lambda neck: neck[0]):
        side = np.asarray(along < at)
        unlike = [float((side[inner] != other[inner]).mean()) for other in sides]
        if all(SIDE < share < 1 - SIDE for share in unlike):
            sides.append(side)
        if len(sides) == CUTS:
            break
    return sides


def _necks(
    inner: npt.NDArray[np.intp], points: Floats
) -> list[tuple[float, npt.NDArray[np.float32], float]]:
    """The cost of each cut that is shorter than the parallel ones next to it, the points'
    coordinates across it, and its own.
    """
    found: list[tuple[float, npt.NDArray[np.float32], float]] = []
    for angle in np.arange(ANGLES) * np.pi / ANGLES:
        along = points @ np.asarray([np.cos(angle), np.sin(angle)], np.float32)
        low = along[inner].min()
        lengths = np.bincount((along[inner] - low).astype(int))
        before = np.cumsum(lengths) - lengths / 2
        smaller = np.minimum(before, len(inner) - before)
        costs = lengths / np.sqrt(np.maximum(smaller, 1))
        costs[smaller < max(SMALLEST, SIDE * len(inner))] = np.inf
        beside = np.pad(costs, 1, constant_values=np.inf)
        least = np.isfinite(costs) & (costs <= beside[:-2]) & (costs <= beside[2:])
        found.extend(
            (float(costs[index]), along, float(low + index + 0.5))
            for index in np.flatnonzero(least)
        )
    return found
