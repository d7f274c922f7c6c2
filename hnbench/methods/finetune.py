"""Direct fine-tuning: other weights of the generator, for example by a LoRA that was trained on the
same reward. The noise is not changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import FinetunedGenerator
from hnbench.hypernetwork.attached import attach_foreign
from hnbench.hypernetwork.foreign import Checkpoint, recognise
from hnbench.methods.adapted import AdapterMethod
from hnbench.methods.base import (
    Outcome,
    Passes,
    conditioning_of,
    one_each,
    starting_noise,
    without_gradient,
)
from hnbench.methods.training import Training
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class FineTuned(AdapterMethod):
    """One generation with the fine-tuned weights.

    `adapter` is an adapter that hnbench trained, or a checkpoint of another program
    (`hnbench.hypernetwork.foreign`): a LoRA, a network, or a whole pipeline, which then encodes,
    samples and decodes with parts of its own.
    """

    name = "finetune"
    kind = "finetune"

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": recognise(self.adapter).fingerprint}

    def prepare(self, generator: Generator) -> Training:
        """Load the weights. `UsageError` if they are not for this generator."""
        checkpoint = recognise(self.adapter)
        if checkpoint.is_own:
            return super().prepare(generator)
        self._loaded(checkpoint, generator)
        return Training(kind=self.kind, checkpoint=checkpoint.form)

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
            images = self._images(generator, noise, tasks, noises)
        yield from one_each(tasks, self.name, images, noise)

    def _images(
        self, generator: Generator, noise: Tensor, tasks: Sequence[Task], noises: NoiseSource
    ) -> Tensor:
        tuned = self._loaded(recognise(self.adapter), generator)
        if isinstance(tuned, FinetunedGenerator):
            return tuned.generate(noise, conditioning_of(generator, noises, tasks))
        return tuned.generate(noise, conditioning_of(tuned, noises, tasks))

    def _loaded(
        self, checkpoint: Checkpoint, generator: Generator
    ) -> FinetunedGenerator | Generator:
        """The generator with the weights, which are loaded only the first time."""
        if checkpoint.is_own:
            return FinetunedGenerator(generator, self._attached(generator))
        if checkpoint.is_lora:
            return FinetunedGenerator(generator, attach_foreign(generator, checkpoint))
        return generator.with_weights_of(checkpoint.place)
