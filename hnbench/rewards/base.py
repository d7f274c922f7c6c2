"""The reward contract: a differentiable score of (image, prompt); higher is better; one value per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor


class Reward(ABC):
    """One model's score, without weight and without any mean over the batch inside."""

    name: str

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over the weights and what else decides the score; part of every record's identity."""

    @abstractmethod
    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores `[B]` in float32 (or the images' wider type) of images `[B, 3, H, W]` in [0, 1], differentiable in `images`.

        Text features are cached per prompt: scoring the same prompt again encodes no text.
        """


class Mixture(Reward):
    """A weighted sum of rewards: what a method optimises. Weights live here and nowhere else."""

    def __init__(self, parts: Mapping[str, tuple[Reward, float]], name: str = "mixture") -> None:
        if not parts:
            raise ValueError("a mixture needs at least one reward")
        self.name = name
        self.parts = dict(parts)

    @property
    def fingerprint(self) -> str:
        from hnbench.seeds import digest

        return digest({name: [reward.fingerprint, weight] for name, (reward, weight) in self.parts.items()})

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        scores = [weight * reward.score(images, prompts) for reward, weight in self.parts.values()]
        total = scores[0]
        for score in scores[1:]:
            total = total + score
        return total
