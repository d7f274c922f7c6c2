"""Checks of the judge's models: before its scores are used, each model must recognise the person in
a photograph; `UsageError` otherwise.

`name` is the model's name as the user gave it. The four checks do not measure quality: any trained
model of its kind passes easily.
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
"""The detected person's box must overlap the person's own box by more than this (intersection over
union).
"""


def verify_blip(model: BlipVqa, name: str, picture: Image.Image) -> None:
    """Require that "yes" is more likely for "a person?" than for questions about absent things."""
    _require_first(
        f"the BLIP model {name}",
        [f"{thing}?" for thing in (PRESENT, *ABSENT)],
        model.yes(picture, [PRESENT, *ABSENT]),
    )


def verify_clip(model: ClipCosine, name: str, picture: Image.Image) -> None:
    """Require that "a photo of a person" is nearer to the picture than texts on absent things."""
    texts = [f"a photo of {thing}" for thing in (PRESENT, *ABSENT)]
    _require_first(f"the CLIP model {name}", texts, [model.cosine(picture, text) for text in texts])


def _require_first(part: str, texts: Sequence[str], values: Sequence[float]) -> None:
    if not values[0] > max(values[1:]):
        found = ", ".join(
            f"{text!r} {value:.4f}" for text, value in zip(texts, values, strict=True)
        )
        raise distrusted(part, f"{texts[0]!r} to be the most likely", found)


def verify_detector(model: ObjectDetector, name: str, picture: Image.Image) -> None:
    """Require that a "person" is detected at the right place. The published rules need this label
    for people.
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
    """Require that the map is finite and not constant, and that the person is nearer than the
    background in the upper corners.
    """
    depth = model.depth(picture)
    height, width = depth.shape
    top, side = height // 6, width // 6
    nearer = float(depth[height // 2 :, width // 4 : -width // 4].mean())
    behind = float(np.concatenate([depth[:top, :side], depth[:top, -side:]]).mean())
    if not nearer > behind:  # true also if one is NaN
        raise distrusted(
            f"the depth model {name}",
            "a person nearer (larger) than the wall",
            f"{nearer:.1f} and {behind:.1f} of 255",
        )
