"""What an object detector found in an image, and the frame that the published rules measure it
in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hnbench.detections import Box

SHORT_SIDE, LONG_SIDE = 479, 480
"""The published scripts resize an image so that its short side is 479 pixels and its long side at
most 480.
"""


@dataclass(frozen=True)
class LabelledBox:
    """One object."""

    label: str
    """In lower case."""
    score: float
    """Confidence in [0, 1]."""
    box: Box


Detections = Sequence[LabelledBox]
"""The objects of one image, the most confident first."""


def frame_of(width: int, height: int) -> tuple[int, int]:
    """Width and height of the frame of an image of this size."""
    short, long = sorted((width, height))
    new_short, new_long = SHORT_SIDE, int(SHORT_SIDE * long / short)
    if new_long > LONG_SIDE:
        # the ratio is that of the whole numbers before it, as in torchvision's Resize(479,
        # max_size=480)
        new_short, new_long = int(LONG_SIDE * new_short / new_long), LONG_SIDE
    return (new_short, new_long) if width <= height else (new_long, new_short)


def offset(first: Box, second: Box) -> tuple[float, float]:
    """From the centre of the first box to that of the second: right and down are positive."""
    return (second[0] + second[2] - first[0] - first[2]) / 2, (
        second[1] + second[3] - first[1] - first[3]
    ) / 2
