"""The quality of a generator of the world: the judge's score by task, on captions of the whole
world.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from hnbench.shapes.captions import TAGS, all_captions
from hnbench.suites.shapes import ShapesJudge

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def to_pictures(images: Tensor) -> list[Image.Image]:
    """Images `[B, 3, H, W]` in [0, 1] as 8-bit pictures."""
    pixels = (
        images.detach()
        .float()
        .clamp(0, 1)
        .mul(255)
        .round()
        .to(torch.uint8)
        .permute(0, 2, 3, 1)
        .cpu()
        .numpy()
    )
    return [Image.fromarray(each) for each in pixels]


def judge_scores(
    generate: Callable[[list[str]], Tensor], *, per_task: int, seed: int = 123, batch_size: int = 60
) -> dict[str, float]:
    """Task, and `overall` -> the share of images judged right. `generate` maps captions to images
    `[B, 3, H, W]` in [0, 1].
    """
    choices, judge = random.Random(seed), ShapesJudge()
    scores: dict[str, float] = {}
    for tag in TAGS:
        captions = [choices.choice(all_captions(tag)) for _ in range(per_task)]
        pictures: list[Image.Image] = []
        for start in range(0, per_task, batch_size):
            pictures += to_pictures(
                generate([caption.text for caption in captions[start : start + batch_size]])
            )
        verdicts = judge.judge(pictures, [caption.metadata() for caption in captions])
        scores[tag] = float(np.mean([verdict.correct for verdict in verdicts]))
    return {**scores, "overall": float(np.mean(list(scores.values())))}
