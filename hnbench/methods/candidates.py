"""A batch of candidates, one per sample, and which of two to keep: without the host ever
looking.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Candidates:
    """One candidate for each of B samples."""

    noise: Tensor
    """`[B, *noise_shape]`."""
    image: Tensor
    """`[B, 3, H, W]`."""
    score: Tensor
    """The optimised reward, `[B]`."""


def keep_better(kept: Candidates, new: Candidates) -> Candidates:
    """For each sample the candidate with the higher score; the kept one when they tie.

    A score that is not finite never wins; one that is wins over one that is not. Decided on the
    device, by `torch.where`: a branch in Python would make the host wait for the score.
    """
    wins = new.score.isfinite() & ((new.score > kept.score) | ~kept.score.isfinite())
    return Candidates(
        noise=torch.where(per_sample(wins, new.noise), new.noise, kept.noise),
        image=torch.where(per_sample(wins, new.image), new.image, kept.image),
        score=torch.where(wins, new.score, kept.score),
    )


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """`values` `[B]` with as many trailing dimensions of size 1 as broadcasting against `like` `[B,
    ...]` needs.
    """
    return values.view(-1, *[1] * (like.ndim - 1))
