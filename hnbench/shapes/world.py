"""The parts of the embedded world: shapes, colours, relations, scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIZE = 64
"""Width and height of an image, in pixels."""
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart")
PALETTE = {
    "red": (214, 38, 38),
    "green": (36, 150, 60),
    "blue": (38, 70, 214),
    "yellow": (245, 208, 20),
    "purple": (142, 48, 178),
    "orange": (245, 128, 16),
    "black": (28, 28, 28),
    "cyan": (36, 196, 214),
}
"""Colour name -> sRGB in 0..255."""
COLOURS = tuple(PALETTE)
RELATIONS = ("left of", "right of", "above", "below")
RADII = {1: (9.0, 12.0), 2: (8.0, 11.0), 3: (7.5, 9.5), 4: (7.0, 9.0)}
"""Number of objects -> the range of an object's radius (half its extent), in pixels."""
GAP = 2.5
"""The smallest distance between the discs around two objects, in pixels."""


@dataclass(frozen=True)
class Item:
    """One object: its shape, colour, centre (x points right, y down) and radius in pixels, and
    opacity in 0..1.
    """

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    opacity: float = 1.0


@dataclass(frozen=True)
class Scene:
    """The objects of one image, which do not overlap."""

    items: tuple[Item, ...]


def place(
    count: int, rng: np.random.Generator, relation: str | None = None
) -> list[tuple[float, float, float]]:
    """The centres and radii `(x, y, r)` of `count` objects that do not overlap.

    With a `relation`, object 0 clearly has it to object 1: the offset along its axis is at least
    1.4 times the offset along the other axis.
    """
    low, high = RADII[count]
    # Whole placements are drawn again until one fits, so that all that fit are equally likely.
    while True:
        radii = rng.uniform(low, high, count)
        centres = [rng.uniform(radius + 1, SIZE - radius - 1, 2) for radius in radii]
        placed = [(float(x), float(y), float(r)) for (x, y), r in zip(centres, radii, strict=True)]
        if _apart(placed) and (relation is None or _stands(placed[0], placed[1], relation)):
            return placed


def _apart(placed: list[tuple[float, float, float]]) -> bool:
    return all(
        math.hypot(a[0] - b[0], a[1] - b[1]) >= a[2] + b[2] + GAP
        for index, a in enumerate(placed)
        for b in placed[:index]
    )


def _stands(
    first: tuple[float, float, float], second: tuple[float, float, float], relation: str
) -> bool:
    dx, dy = first[0] - second[0], first[1] - second[1]
    along = {"left of": -dx, "right of": dx, "above": -dy, "below": dy}[relation]
    across = abs(dy) if relation in ("left of", "right of") else abs(dx)
    return along >= 1.4 * across
