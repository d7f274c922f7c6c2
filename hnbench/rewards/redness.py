"""Redness: how much more red than green and blue an image has, the toy reward of the HyperNoise
paper (arXiv 2508.09968, section 4.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.rewards.base import Reward
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Redness(Reward):
    """The mean over pixels of R - (G + B) / 2, in [-1, 1]. The prompt plays no part."""

    name = "redness"

    @property
    def fingerprint(self) -> str:
        return digest([self.name, 1])

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:  # noqa: ARG002
        red, green, blue = images.mean(dim=(2, 3)).unbind(1)
        return red - (green + blue) / 2


def load(*, device: str, dtype: str) -> Redness:  # noqa: ARG001
    """The factory for the registry."""
    return Redness()
