"""How the detector's threshold was fixed: from drawn images alone, clean and slightly blurred.

The threshold is the largest of 0.66, 0.69, ..., 0.87 at which at least 99.5% of drawn images are judged right when they are
blurred by a Gaussian of sigma 0.7 pixels, about what the autoencoder does to them. Run as
`python -m hnbench.shapes.calibration`.
"""

from __future__ import annotations

import json
import random

import numpy as np
from scipy import ndimage

from hnbench.shapes.captions import TAGS, all_captions
from hnbench.shapes.detector import THRESHOLD, detect
from hnbench.shapes.drawing import draw
from hnbench.suites.geneval.rules import evaluate, filter_detections

GOAL = 0.995
BLUR = 0.7


def accuracy(threshold: float, *, per_task: int, blur: float = 0.0, seed: int = 77) -> dict[str, float]:
    """By task, the share of drawn images that the judge accepts under their own caption; `other`: under another one of the same task."""
    pixels, choices = np.random.default_rng(seed), random.Random(seed)
    right: dict[str, list[bool]] = {tag: [] for tag in (*TAGS, "other")}
    for tag in TAGS:
        for _ in range(per_task):
            caption = choices.choice(all_captions(tag))
            image = draw(caption.scene(pixels), pixels)
            if blur:
                image = np.rint(ndimage.gaussian_filter(image.astype(np.float32), (blur, blur, 0))).astype(np.uint8)
            found = filter_detections(detect(image), tag, threshold=threshold, counting_threshold=threshold)
            other = choices.choice([each for each in all_captions(tag) if each != caption])
            right[tag].append(bool(evaluate(found, caption.metadata()).correct))
            right["other"].append(bool(evaluate(found, other.metadata()).correct))
    return {name: sum(values) / len(values) for name, values in right.items()}


def main() -> None:
    """Print the accuracies around the threshold, and the threshold that the rule gives."""
    table = {}
    for hundredth in range(66, 90, 3):
        scores = accuracy(hundredth / 100, per_task=200, blur=BLUR)
        table[hundredth / 100] = float(np.mean([scores[tag] for tag in TAGS]))
    chosen = max((threshold for threshold, score in table.items() if score >= GOAL), default=None)
    print(json.dumps({"blurred": table, "chosen": chosen, "in use": THRESHOLD, "clean": accuracy(THRESHOLD, per_task=500)}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
