"""A reward that is a network over pixels, with two ways to prepare its input."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch

from hnbench.rewards.base import Reward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image
    from torch import Tensor


class NetworkReward(Reward):
    """The optimised and the reported score differ only in how the network's input is prepared.

    `pixels` maps images `[B, 3, H, W]` in [0, 1] to that input, differentiably. `published` maps
    one picture to it, `[3, h, w]`, as the reward's authors do; without it, a saved picture is
    prepared like a tensor.
    """

    def __init__(
        self,
        *,
        name: str,
        fingerprint: str,
        source: str,
        pixels: Callable[[Tensor], Tensor],
        published: Callable[[Image], Tensor] | None,
    ) -> None:
        self.name = name
        self.source = source
        self._fingerprint = fingerprint
        self._pixels, self._published = pixels, published

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @abstractmethod
    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores `[B]` of the network's normalised input `[B, 3, h, w]`."""

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.score_pixels(self._pixels(images), prompts)

    def score_pictures(
        self, pictures: Sequence[Image], prompts: Sequence[str], device: torch.device
    ) -> Tensor:
        if self._published is None:
            return super().score_pictures(pictures, prompts, device)
        return self.score_pixels(self.published_pixels(pictures).to(device), prompts)

    def published_pixels(self, pictures: Sequence[Image]) -> Tensor:
        """The network's input `[B, 3, h, w]` for saved RGB pictures, by the published
        preprocessing. A `ValueError` if there is none.
        """
        if self._published is None:
            raise ValueError(f"{self.name} has no published preprocessing")
        return torch.stack([self._published(picture) for picture in pictures])
