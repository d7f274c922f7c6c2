"""Direct fine-tuning: a LoRA that was trained on the same reward changes the generator itself. The
noise is not changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import FinetunedGenerator
from hnbench.methods.adapted import AdapterMethod
from hnbench.methods.base import (
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
class FineTuned(AdapterMethod):
    """One generation with the adapter active."""

    name = "finetune"
    kind = "finetune"

    def passes(self, steps: int) -> Passes:
        return Passes(steps)

    def propose(
        self,
        tasks: Sequence[Task],
        generator: Generator,
        reward: Reward,  # noqa: ARG002
        noises: NoiseSource,
    ) -> Iterator[Outcome]:
        finetuned = FinetunedGenerator(generator, self._attached(generator))
        noise = starting_noise(generator, noises, tasks)
        with without_gradient():
            images = finetuned.generate(noise, conditioning_of(generator, noises, tasks))
        yield from one_each(tasks, self.name, images, noise)
