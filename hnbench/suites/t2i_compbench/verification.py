"""What each model has to see in the photograph of a person before its scores are believed; a
`UsageError` otherwise.

`name` is the model's, as it was given. None of the four checks is about how well a model sees: a
trained one of its kind passes with ease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.detections import iou
from hnbench.suites.t2i_compbench.detections import frame_of
from hnbench.weights.known_picture import ABSENT, BOX, PRESENT, distrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from hnbench.suites.t2i_compbench.models import BlipVqa, ClipCosine, Depth, ObjectDetector

OVERLAP = 0.5
"""Least intersection over union of the detected person with the photograph's."""


def verify_blip(model: BlipVqa, name: str, picture: Image.Image) -> None:
    """The question "a person?" has more of "yes" than those for what is not there."""
    _require_first(
        f"the BLIP model {name}",
        [f"{thing}?" for thing in (PRESENT, *ABSENT)],
        model.yes(picture, [PRESENT, *ABSENT]),
    )


def verify_clip(model: ClipCosine, name: str, picture: Image.Image) -> None:
    """The text "a photo of a person" is nearer to the picture than those of what is not there."""
    texts = [f"a photo of {thing}" for thing in (PRESENT, *ABSENT)]
    _require_first(f"the CLIP model {name}", texts, [model.cosine(picture, text) for text in texts])


def _require_first(part: str, texts: Sequence[str], values: Sequence[float]) -> None:
    if not values[0] > max(values[1:]):
        found = ", ".join(
            f"{text!r} {value:.4f}" for text, value in zip(texts, values, strict=True)
        )
        raise distrusted(part, f"{texts[0]!r} to be the most likely", found)


def verify_detector(model: ObjectDetector, name: str, picture: Image.Image) -> None:
    """A "person" is detected where there is one: the name that the published rules have for
    people.
    """
    width, height = frame_of(*picture.size)
    place = (BOX[0] * width, BOX[1] * height, BOX[2] * width, BOX[3] * height)
    found = model.detect(picture)
    if not any(one.label == "person" and iou(one.box, place) > OVERLAP for one in found):
        listed = ", ".join(
            f"{one.label} {one.score:.2f} at {[round(side) for side in one.box]}"
            for one in found[:3]
        )
        raise distrusted(
            f"the detector {name}",
            f"a 'person' at about {[round(side) for side in place]}",
            listed or "nothing",
        )


def verify_depth(model: Depth, name: str, picture: Image.Image) -> None:
    """The map is finite and not the same everywhere, and the person is nearer than what is behind,
    in the upper corners.
    """
    depth = model.depth(picture)
    height, width = depth.shape
    top, side = height // 6, width // 6
    nearer = float(depth[height // 2 :, width // 4 : -width // 4].mean())
    behind = float(np.concatenate([depth[:top, :side], depth[:top, -side:]]).mean())
    if not nearer > behind:  # also where they are NaN, or equal
        raise distrusted(
            f"the depth model {name}",
            "a person nearer (larger) than the wall",
            f"{nearer:.1f} and {behind:.1f} of 255",
        )
