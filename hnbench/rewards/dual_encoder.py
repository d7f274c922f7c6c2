"""The shared base of all CLIP-like rewards: an image tower, a text tower, and the cosine between
their features.

Radford et al., arXiv 2103.00020.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

from torch.nn import functional

from hnbench.rewards.network import NetworkReward
from hnbench.rewards.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from PIL.Image import Image
    from torch import Tensor


class DualEncoder(NetworkReward):
    """`scale * cos(image features, text features)`; text features are computed once per prompt."""

    @abstractmethod
    def encode_image(self, pixels: Tensor) -> Tensor:
        """Image features `[B, D]` of any length."""

    @abstractmethod
    def encode_text(self, prompts: list[str]) -> Tensor:
        """Text features `[B, D]` of any length."""

    @abstractmethod
    def scale(self) -> float:
        """The factor the cosine is multiplied by: the checkpoint's value, whatever type the
        network computes in.
        """

    @cached_property
    def _text(self) -> TextCache:
        return TextCache(
            lambda prompts: functional.normalize(self.encode_text(prompts).float(), dim=-1)
        )

    def image_features(self, images: Tensor) -> Tensor:
        """Image features `[B, D]` of length 1, in float32, of images `[B, 3, H, W]` in [0, 1]."""
        return self._unit(self._pixels(images))

    def picture_features(self, pictures: Sequence[Image], device: torch.device) -> Tensor:
        """Image features `[B, D]` of length 1 of saved RGB pictures, by the published
        preprocessing.
        """
        return self._unit(self.published_pixels(pictures).to(device))

    def text_features(self, prompts: Sequence[str]) -> Tensor:
        """Text features `[B, D]` of length 1, in float32."""
        return self._text(prompts)

    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.scale() * (self._unit(pixels) * self._text(prompts)).sum(-1)

    def _unit(self, pixels: Tensor) -> Tensor:
        return functional.normalize(self.encode_image(pixels).float(), dim=-1)
