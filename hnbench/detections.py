"""Objects that a detector found in an image, and the overlap of two boxes."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class Detection:
    """One object found in an image; its class is the key that it is stored under."""

    box: Box
    """Right and bottom are exclusive."""
    score: float
    """Confidence in [0, 1]."""
    colour: str | None = None
    """The colour's name, if the detector itself reports one."""


def iou(first: Box, second: Box) -> float:
    """Intersection over union; 0 if both boxes are empty."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return shared / (areas - shared) if areas > shared else 0.0


def iou_of_pixels(first: Box, second: Box) -> float:
    """Intersection over union as GenEval counts pixels: right and bottom are inside.

    A box from 0 to 9 is 10 pixels wide.
    """
    shared = _pixels(
        (
            max(first[0], second[0]),
            max(first[1], second[1]),
            min(first[2], second[2]),
            min(first[3], second[3]),
        )
    )
    union = _pixels(first) + _pixels(second) - shared
    return shared / union if union else 0.0


def _pixels(box: Box) -> float:
    return max(box[2] - box[0] + 1, 0.0) * max(box[3] - box[1] + 1, 0.0)
