"""A linear generator and rewards whose optima are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from hnbench.generators.base import Conditioning
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource, digest
from hnbench.tasks import Task
from hnbench.testing.toys import ToyGenerator


class LinearGenerator(ToyGenerator):
    """The image is the noise, multiplied by a matrix: 3x2x2 numbers each, not confined to [0,
    1].
    """

    name = "linear"
    noise_shape = (3, 2, 2)

    def __init__(self, matrix: Tensor) -> None:
        super().__init__(matrix.dtype)
        self.matrix = matrix

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        return (noise.to(self.dtype).flatten(1) @ self.matrix.T).view(-1, 3, 2, 2)


class LinearReward(Reward):
    """The image's inner product with a direction."""

    name = "linear"
    fingerprint = digest("linear")

    def __init__(self, direction: Tensor) -> None:
        self.direction = direction

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return images.flatten(1) @ self.direction


class NearnessReward(Reward):
    """Minus half the squared distance to a target image."""

    name = "nearness"
    fingerprint = digest("nearness")

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return -0.5 * (images.flatten(1) - self.target).square().sum(dim=1)


class Spoiled(Reward):
    """Another reward, spoiled in chosen calls for the prompt "bad": its value, or only its
    gradient.
    """

    name = "spoiled"
    fingerprint = digest("spoiled")

    def __init__(
        self, inner: Reward, *, value: float, calls: Sequence[int], only_gradient: bool = False
    ) -> None:
        self.inner, self.value, self.calls, self.only_gradient = (
            inner,
            value,
            set(calls),
            only_gradient,
        )
        self.made = 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        bad = torch.tensor([prompt == "bad" for prompt in prompts])
        spoil = self.made in self.calls
        self.made += 1
        if spoil and self.only_gradient and images.requires_grad:
            images = images * 1
            images.register_hook(
                lambda gradient: gradient.masked_fill(bad[:, None, None, None], self.value)
            )  # type: ignore[no-untyped-call]
        score = self.inner.score(images, prompts)
        return score.masked_fill(bad, self.value) if spoil and not self.only_gradient else score


class Asked(Exception):  # noqa: N818
    """Python asked a tensor for its value, for which the host must wait for the device."""


class Unasked(Reward):
    """Another reward; from its first call to its last but one, asking any tensor for its value
    raises `Asked`.
    """

    name = "unasked"
    fingerprint = digest("unasked")
    asking = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__")

    def __init__(self, inner: Reward, patch: pytest.MonkeyPatch, calls: int) -> None:
        self.inner, self.patch, self.calls = inner, patch, calls
        self.made = 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        if self.made == 0:
            for name in self.asking:
                self.patch.setattr(Tensor, name, _asked)
        self.made += 1
        if self.made == self.calls:
            self.patch.undo()
        return self.inner.score(images, prompts)


def _asked(*_arguments: object) -> None:
    raise Asked


def tasks_of(*prompts: str, samples: int = 1) -> list[Task]:
    return [Task(prompt, prompt, sample) for prompt in prompts for sample in range(samples)]


def noises_for(generator: ToyGenerator, base_seed: int = 0) -> NoiseSource:
    return NoiseSource(base_seed, generator.noise_shape)
