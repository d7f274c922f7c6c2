"""Best-of-N: draw N noises and keep the image with the highest reward, without gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.base import (
    Method,
    Outcome,
    Passes,
    conditioning_of,
    starting_noise,
    without_gradient,
)
from hnbench.methods.candidates import Candidates, keep_better
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class BestOfN(Method):
    """The best of `n` candidates, and of the first 2, 4, 8, ... of them.

    Candidate 0 is the sample's starting noise, and candidate j is the same noise for every `n`. So
    the candidates of a smaller `n` are the first ones of a larger `n`, and one search also gives
    the results of all smaller powers of two. The paper compares with n = 50 (arXiv 2508.09968,
    section 4).
    """

    n: int = 50
    """The number of candidates, at least 1."""

    name = "best-of-n"

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise UsageError(
                f"best-of-n: n was {self.n!r}; it must be a whole number of at least 1, for example"
                " best-of-n:n=50"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The reported numbers of candidates: `n`, and all smaller powers of two from 2 on."""
        return (*(2**power for power in range(1, self.n.bit_length()) if 2**power < self.n), self.n)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"best-of-{size}" for size in self.sizes)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "n": self.n}

    def passes(self, steps: int) -> Passes:
        return Passes(self.n * steps, reward_forward=self.n)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        best, scores = self._search(tasks, generator, reward, noises)
        trajectories = scores.tolist()
        for row, task in enumerate(tasks):
            for size, label in zip(self.sizes, self.labels, strict=True):
                found, trajectory = best[size], tuple(trajectories[row][:size])
                yield Outcome(
                    task,
                    label,
                    found.image[row],
                    found.noise[row],
                    share=size / self.n,
                    trajectory=trajectory,
                )

    @without_gradient()
    def _search(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> tuple[dict[int, Candidates], Tensor]:
        """Return the best candidates after each reported number, and every candidate's reward `[B,
        n]`.
        """
        prompts = [task.prompt for task in tasks]
        conditioning = conditioning_of(generator, noises, tasks)
        best: Candidates | None = None
        reported: dict[int, Candidates] = {}
        scores: list[Tensor] = []
        # One candidate of every task at a time: this batch is known to fit, and shapes are the same
        # for every n.
        for candidate in range(self.n):
            noise = starting_noise(generator, noises, tasks, candidate)
            image = generator.generate(noise, conditioning)
            scores.append(reward.score(image, prompts))
            new = Candidates(noise, image, scores[-1])
            best = keep_better(best, new) if best else new
            if candidate + 1 in self.sizes:
                reported[candidate + 1] = best
        return reported, torch.stack(scores, dim=1)
