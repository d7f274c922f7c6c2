"""The objects that a detector found in an image, and the frame (the size of the resized image) in
which the published rules measure them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hnbench.detections import Box

SHORT_SIDE, LONG_SIDE = 479, 480
"""The published scripts resize an image so that its short side is 479 pixels, and its long side at
most 480 pixels.
"""


@dataclass(frozen=True)
class LabelledBox:
    """One detected object."""

    label: str
    """The class, in lower case."""
    score: float
    """Confidence in [0, 1]."""
    box: Box
    """In pixels of the frame (`frame_of`)."""


Detections = Sequence[LabelledBox]
"""The objects of one image, the most confident first."""


def frame_of(width: int, height: int) -> tuple[int, int]:
    """The width and height of the frame for an image of this size."""
    short, long = sorted((width, height))
    new_short, new_long = SHORT_SIDE, int(SHORT_SIDE * long / short)
    if new_long > LONG_SIDE:
        # The ratio is that of the sides after rounding, as in torchvision's Resize(479,
        # max_size=480).
        new_short, new_long = int(LONG_SIDE * new_short / new_long), LONG_SIDE
    return (new_short, new_long) if width <= height else (new_long, new_short)


def offset(first: Box, second: Box) -> tuple[float, float]:
    """The offset (x, y) from the first box's centre to the second's; right and down are
    positive.
    """
    return (second[0] + second[2] - first[0] - first[2]) / 2, (
        second[1] + second[3] - first[1] - first[3]
    ) / 2
