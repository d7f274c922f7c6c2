"""A reward: the greenness of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.rewards.base import Reward
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Greenness(Reward):
    """The mean over pixels of G - (R + B) / 2, in [-1, 1]. It ignores the prompt."""

    name = "greenness"

    @property
    def fingerprint(self) -> str:
        # A reward with weights puts their hash here. The number is the version of the formula.
        return digest([self.name, 1])

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:  # noqa: ARG002
        red, green, blue = images.mean(dim=(2, 3)).unbind(1)
        return green - (red + blue) / 2


def load(*, device: str, dtype: str) -> Greenness:  # noqa: ARG001
    """The reward, for hnbench's registry. A reward with weights loads them onto the device here."""
    return Greenness()
