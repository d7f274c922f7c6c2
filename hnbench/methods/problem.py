"""The noises of a batch of tasks as variables of gradient ascent, with their images and rewards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hnbench.devices.transfers import to_device
from hnbench.generators.base import Generator
from hnbench.guards.answers import as_scores
from hnbench.methods.base import conditioning_of, starting_noise
from hnbench.methods.candidates import Candidates
from hnbench.methods.random_orders import random_orders
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


class Problem:
    """The noises of B tasks as variables."""

    def __init__(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> None:
        self._tasks, self._generator, self._reward, self._noises = tasks, generator, reward, noises
        self._prompts = [task.prompt for task in tasks]
        self._conditioning = conditioning_of(generator, noises, tasks)

    def drawn(self, candidate: int) -> Tensor:
        """The tasks' noises of this candidate, `[B, *noise_shape]`."""
        return starting_noise(self._generator, self._noises, self._tasks, candidate)

    def orders(self, iteration: int, count: int) -> Tensor:
        """`count` random orders of each noise's N numbers, `[B, count, N]`, which only this
        iteration has.
        """
        drawn = random_orders(self._noises, self._tasks, iteration, count)
        return to_device(drawn, self._generator.device)

    def evaluated(
        self, noise: Tensor, *, differentiable: bool = False, through_reward: bool = True
    ) -> Candidates:
        """The images and rewards of noises `[B, *noise_shape]`. If they are to be `differentiable`,
        the candidates' noise is the leaf of the graph; without `through_reward`, the graph has the
        images only.
        """
        with torch.set_grad_enabled(differentiable):
            leaf = noise.detach().requires_grad_(differentiable)
            image = self._generator.generate(leaf, self._conditioning)
            shown = image if through_reward else image.detach()
            scores = as_scores(
                f"the reward {self._reward.name}",
                self._reward.score(shown, self._prompts),
                len(self._prompts),
                differentiable=differentiable and through_reward,
            )
            return Candidates(leaf, image, scores)
