"""The share of hard negatives that a reward puts below the right caption."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch

from hnbench.shapes_training.examples import Examples, to_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

KINDS = (
    "swapped_colours",
    "swapped_position",
    "turned_position",
    "count",
    "colour",
    "shape",
    "spoilt",
)
CHECKED = 400
"""Images per kind, for the accuracies on the model cards."""
DRAWN = 64
"""Images that are drawn and scored at a time."""


@torch.no_grad()
def hard_negative_accuracy(
    score: Callable[[Tensor, Sequence[str]], Tensor], *, per_kind: int, seed: int = 10_001
) -> dict[str, float]:
    """Kind of difference -> the share of newly drawn images whose own caption scores above a hard
    negative of that kind, over at least `per_kind` of them.

    `score` gives `[B]` for images `[B, 3, 64, 64]` in [0, 1] and B captions. `spoilt` is the share
    of images that score above their spoilt version.
    """
    examples, choices = Examples(seed), random.Random(seed)
    wins: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    while min(len(found) for found in wins.values()) < per_kind:
        drawn = [examples.example() for _ in range(DRAWN)]
        images = to_tensor([each.image for each in drawn])
        captions = [each.caption.text for each in drawn]
        own = score(images, captions)
        spoilt = score(to_tensor([examples.spoilt(each) for each in drawn]), captions)
        wins["spoilt"].extend((own > spoilt).tolist())
        negatives = [
            (row, kind, caption.text)
            for row, each in enumerate(drawn)
            for kind, caption in each.caption.hard_negatives(choices).items()
        ]
        rows = [row for row, _, _ in negatives]
        lower = score(images[rows], [text for _, _, text in negatives]) < own[rows]
        for (_, kind, _), won in zip(negatives, lower.tolist(), strict=True):
            wins[kind].append(won)
    return {kind: sum(found) / len(found) for kind, found in wins.items()}
