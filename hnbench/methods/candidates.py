"""A batch of candidates, one per sample, and the choice between two of them on the device, without
waiting for it.
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

    def __getitem__(self, rows: slice) -> Candidates:
        """The candidates of these samples."""
        return Candidates(self.noise[rows], self.image[rows], self.score[rows])


def joined(first: Candidates | None, second: Candidates) -> Candidates:
    """Both, one after the other; `second` itself if `first` is None or empty."""
    if first is None or not len(first.score):
        return second
    return Candidates(
        noise=torch.cat([first.noise, second.noise]),
        image=torch.cat([first.image, second.image]),
        score=torch.cat([first.score, second.score]),
    )


def keep_better(kept: Candidates, new: Candidates) -> Candidates:
    """For each sample, the candidate with the higher score; the kept one if they tie.

    A finite score wins over one that is not finite; a score that is not finite never wins.
    """
    # torch.where decides on the device. A branch in Python would make the host wait for the score.
    wins = new.score.isfinite() & ((new.score > kept.score) | ~kept.score.isfinite())
    return Candidates(
        noise=torch.where(per_sample(wins, new.noise), new.noise, kept.noise),
        image=torch.where(per_sample(wins, new.image), new.image, kept.image),
        score=torch.where(wins, new.score, kept.score),
    )


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """`values` `[B]` with trailing dimensions of size 1, so that it broadcasts against `like` `[B,
    ...]`.
    """
    return values.view(-1, *[1] * (like.ndim - 1))
