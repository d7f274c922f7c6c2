"""The base: the image from the sample's own starting noise. All other methods are compared with
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hnbench.generators.base import Generator
from hnbench.methods.base import (
    Method,
    Outcome,
    Passes,
    conditioning_of,
    one_each,
    starting_noise,
    without_gradient,
)
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Random(Method):
    """One generation from the starting noise; the reward is not used."""

    name = "random"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name}

    def passes(self, steps: int) -> Passes:
        return Passes(steps)

    def propose(
        self,
        tasks: Sequence[Task],
        generator: Generator,
        reward: Reward,  # noqa: ARG002
        noises: NoiseSource,
    ) -> Iterator[Outcome]:
        noise = starting_noise(generator, noises, tasks)
        with without_gradient():
            images = generator.generate(noise, conditioning_of(generator, noises, tasks))
        yield from one_each(tasks, self.name, images, noise)
