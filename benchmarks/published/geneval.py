"""GenEval's scoring as published: one picture at a time, all of its pairs, one clause at a time.

Ghosh et al., arXiv 2310.11513, with mmdet's way to read a Mask2Former. The masks of all 100 pairs
of query and class are enlarged, before any score is compared with the threshold. Only then are the
clauses of the prompt checked, each with its own pass of the colour classifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from hnbench.suites.base import Verdict
from hnbench.suites.geneval.colours import ColourClassifier, CutOut
from hnbench.suites.geneval.detector import LARGEST, Instance, InstanceDetector, prepare
from hnbench.suites.geneval.rules import evaluate, filter_detections


class Scoring:
    """The published evaluation of a picture.

    Pictures are resized and colours named by hnbench's functions. mmdet resizes with OpenCV, which
    takes some 20 ms less for a picture of 512 pixels.
    """

    def __init__(self, detector: InstanceDetector, classifier: ColourClassifier) -> None:
        self.detector, self.classifier = detector, classifier

    def score(self, path: Path, metadata: Mapping[str, Any]) -> Verdict:
        """The verdict on one saved picture, with the detections that counted."""
        picture = Image.open(path).convert("RGB")
        found = filter_detections(self._detect(picture), str(metadata["tag"]))
        verdict = evaluate(
            found,
            metadata,
            classify=lambda name, instances: self.classifier.classify(
                [CutOut(picture, name, instance) for instance in instances]  # type: ignore[arg-type]
            ),
        )
        details = {
            name: [[*instance.box, instance.score] for instance in instances]
            for name, instances in found.items()
        }
        return replace(verdict, details=details)

    def _detect(self, picture: Image.Image) -> dict[str, list[Instance]]:
        pixels = prepare(np.asarray(picture))
        classes, masks = self.detector.forward(pixels[None])
        large = functional.interpolate(
            masks, size=pixels.shape[1:], mode="bilinear", align_corners=False
        )
        # A square picture needs no padding, so there is none to cut off.
        logits = functional.interpolate(
            large, size=picture.size[::-1], mode="bilinear", align_corners=False
        )[0]
        probabilities = classes[0].softmax(-1)[:, :-1]
        count = probabilities.shape[1]
        scores, places = probabilities.flatten().topk(min(LARGEST, probabilities.numel()))
        found: dict[str, list[Instance]] = {name: [] for name in self.detector.names}
        for score, place in zip(scores.tolist(), places.tolist(), strict=True):
            mask = logits[place // count]
            bits = mask > 0
            inside = float((mask.sigmoid() * bits).sum() / (bits.sum() + 1e-6))
            found[self.detector.names[place % count]].append(
                Instance(_box(bits), score * inside, mask=bits.cpu().numpy())
            )
        return found


def _box(bits: Tensor) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a mask `[H, W]`, right and bottom exclusive; zeros if it is
    empty.
    """
    rows, columns = (torch.where(bits.any(axis))[0].tolist() for axis in (1, 0))
    if not rows:
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
