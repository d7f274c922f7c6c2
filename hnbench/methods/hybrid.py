"""DNO's hybrid gradient, for rewards without a gradient: the reward's part is estimated from
neighbours, the generator's is exact.

Tang et al., "Inference-Time Alignment of Diffusion Models with Direct Noise Optimization", arXiv
2405.18881; the numbers are those of its code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.methods.base import Passes
from hnbench.methods.candidates import Candidates, per_sample
from hnbench.methods.dno import DNO
from hnbench.methods.problem import Problem
from hnbench.methods.search import require_whole

_ADDED_TO_NORM = 1e-3


@dataclass(frozen=True, kw_only=True)
class Hybrid(DNO):
    """DNO that never asks the reward for a gradient.

    In each iteration, the images of `neighbours` noises near the iterate, and their rewards, give a
    direction in which the image is to change. Its gradient goes through the generator alone. The
    noises near it are the sample's candidates after those of `starts`, each used once.
    """

    neighbours: int = 4
    """At least 1. Each costs one forward pass more in every iteration but the last."""
    radius: float = 0.01
    """The neighbours' noise is the iterate plus this times N(0, I)."""

    name = "hybrid"

    def __post_init__(self) -> None:
        require_whole(self.name, 1, neighbours=self.neighbours)
        if not 0 < self.radius < math.inf:
            raise UsageError(f"{self.name}: radius was {self.radius}; it must be a number above 0")
        super().__post_init__()

    def passes(self, steps: int) -> Passes:
        own, near = super().passes(steps), self.neighbours * (self.iterations - 1)
        return Passes(
            own.generator_forward + near * steps,
            own.generator_backward,
            own.reward_forward + near,
        )

    def _evaluated(self, problem: Problem, noise: Tensor, *, differentiable: bool) -> Candidates:
        return problem.evaluated(noise, differentiable=differentiable, through_reward=False)

    def _objective(self, problem: Problem, current: Candidates, iteration: int) -> Tensor:
        """The image's inner product with the direction."""
        noise, image = current.noise.detach(), current.image.detach()
        direction = torch.zeros_like(image, dtype=noise.dtype)
        for neighbour in range(self.neighbours):
            candidate = self.starts + (iteration - 1) * self.neighbours + neighbour
            near = problem.evaluated(noise + self.radius * problem.drawn(candidate))
            gain = (near.score - current.score.detach()).to(noise.dtype)
            direction = direction + per_sample(gain, image) * (near.image - image)
        direction = direction / self.neighbours
        norm = torch.linalg.vector_norm(direction.flatten(1), dim=1)
        direction = direction / per_sample(norm + _ADDED_TO_NORM, direction)
        return (direction * current.image).flatten(1).sum(dim=1)
