"""Fixes the detector's threshold on drawn images, clean and slightly blurred.

The threshold is the largest of 0.66, 0.69, ..., 0.87 at which at least 99.5% of drawn images are
judged right if they are blurred by a Gaussian of sigma 0.7 pixels, which is about the blur of the
autoencoder. Run as `python -m hnbench.shapes_training.calibration`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from hnbench.shapes.captions import TAGS, all_captions
from hnbench.shapes.detector import THRESHOLD, detect
from hnbench.shapes.drawing import draw
from hnbench.suites.geneval.rules import evaluate, filter_detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.detections import Detection
    from hnbench.shapes.captions import Caption

GOAL = 0.995
"""The least share of blurred images that must be judged right."""
BLUR = 0.7
"""The sigma of the blur in pixels."""


@dataclass(frozen=True)
class Seen:
    """The detections in one drawn image of `caption`; `other` is another caption of the same
    task.
    """

    caption: Caption
    other: Caption
    found: dict[str, list[Detection]]


def look(*, per_task: int, blur: float = 0.0, seed: int = 77) -> list[Seen]:
    """Draw images of every task, blur them by a Gaussian of `blur` pixels, and detect their
    objects.
    """
    pixels, choices = np.random.default_rng(seed), random.Random(seed)
    seen: list[Seen] = []
    for tag in TAGS:
        for _ in range(per_task):
            caption = choices.choice(all_captions(tag))
            image = draw(caption.scene(pixels), pixels)
            if blur:
                image = np.rint(
                    ndimage.gaussian_filter(image.astype(np.float32), (blur, blur, 0))
                ).astype(np.uint8)
            other = choices.choice([each for each in all_captions(tag) if each != caption])
            seen.append(Seen(caption, other, detect(image)))
    return seen


def accuracy(seen: Sequence[Seen], threshold: float) -> dict[str, float]:
    """Task -> the share of drawn images that the judge accepts under their own caption; `other` ->
    the share under another caption of the same task.
    """
    right: dict[str, list[bool]] = {tag: [] for tag in (*TAGS, "other")}
    for each in seen:
        tag = each.caption.tag
        found = filter_detections(
            each.found, tag, threshold=threshold, counting_threshold=threshold
        )
        right[tag].append(bool(evaluate(found, each.caption.metadata()).correct))
        right["other"].append(bool(evaluate(found, each.other.metadata()).correct))
    return {name: sum(values) / len(values) for name, values in right.items()}


def main() -> None:
    """Print the accuracies around the threshold, and the threshold that the rule gives."""
    blurred, table = look(per_task=200, blur=BLUR), {}
    for hundredth in range(66, 90, 3):
        scores = accuracy(blurred, hundredth / 100)
        table[hundredth / 100] = float(np.mean([scores[tag] for tag in TAGS]))
    chosen = max((threshold for threshold, score in table.items() if score >= GOAL), default=None)
    clean = accuracy(look(per_task=500), THRESHOLD)
    print(  # noqa: T201
        json.dumps(
            {"blurred": table, "chosen": chosen, "in use": THRESHOLD, "clean": clean}, indent=2
        )
    )


if __name__ == "__main__":
    main()
