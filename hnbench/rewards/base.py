"""The reward contract: a differentiable score of (image, prompt); higher is better; one value per
sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hnbench.guards.answers import as_scores
from hnbench.weights.pixels import shared_pixels

if TYPE_CHECKING:
    from PIL.Image import Image


class Reward(ABC):
    """One model's score, without a weight and without a mean over the batch."""

    name: str
    source: str = ""
    """The origin of the weights, for people: repositories with their commits, or a folder. Empty
    for a reward that comes with a package.
    """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over the weights and everything else that decides the score; part of every
        record's identity.
        """

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks over images that `hnbench run --compile` compiles, by name. `score` must
        call each as a module. Empty: nothing is compiled.
        """
        return {}

    @abstractmethod
    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores `[B]` in float32 (or the images' wider type) of images `[B, 3, H, W]` in [0, 1],
        differentiable in `images`.

        Text features are cached per prompt, so that scoring the same prompt again encodes no text
        and never waits for the device.
        """

    def score_pictures(
        self, pictures: Sequence[Image], prompts: Sequence[str], device: torch.device
    ) -> Tensor:
        """The reported scores `[B]`: of saved RGB pictures of one size, by the published
        preprocessing. `device` is the weights' device.

        Not differentiable. A reward without published preprocessing is scored by `score`.
        """
        from hnbench.weights.pictures import to_bytes

        return self.score(to_bytes(pictures).to(device).float() / 255, prompts)


class Mixture(Reward):
    """A weighted sum of rewards, which a method optimises. Weights are here and nowhere else.

    A part that does not give one score per image, or gives no gradient although one is needed, is a
    `PluginError` that names it.
    """

    def __init__(self, parts: Mapping[str, tuple[Reward, float]], name: str = "mixture") -> None:
        if not parts:
            raise ValueError("a mixture needs at least one reward")
        self.name = name
        self.parts = dict(parts)

    @property
    def fingerprint(self) -> str:
        from hnbench.seeds import digest

        return digest(
            {name: [reward.fingerprint, weight] for name, (reward, weight) in self.parts.items()}
        )

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        with shared_pixels():
            differentiable = images.requires_grad and torch.is_grad_enabled()
            return self._weighted(
                lambda reward: reward.score(images, prompts),
                len(images),
                differentiable=differentiable,
            )

    def score_pictures(
        self, pictures: Sequence[Image], prompts: Sequence[str], device: torch.device
    ) -> Tensor:
        return self._weighted(
            lambda reward: reward.score_pictures(pictures, prompts, device),
            len(pictures),
            differentiable=False,
        )

    def _weighted(
        self, score: Callable[[Reward], Tensor], count: int, *, differentiable: bool
    ) -> Tensor:
        scores = [
            # A total in bfloat16 would have two or three digits.
            weight
            * _in_float32(
                as_scores(f"the reward {name}", score(reward), count, differentiable=differentiable)
            )
            for name, (reward, weight) in self.parts.items()
        ]
        total = scores[0]
        for other in scores[1:]:
            total = total + other
        return total


def _in_float32(scores: Tensor) -> Tensor:
    """The scores in float32, or in their own type if it is wider."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
