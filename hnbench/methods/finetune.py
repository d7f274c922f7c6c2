"""Direct fine-tuning: the generator itself, changed by a LoRA that was trained on the same reward. The noise stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import FinetunedGenerator
from hnbench.hypernetwork.checkpoint import adapter_sha256, attach
from hnbench.methods.base import Method, Outcome
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class FineTuned(Method):
    """One generation with the adapter on."""

    adapter: Path
    """The folder of an adapter of kind `"finetune"`."""
    name = "finetune"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": adapter_sha256(self.adapter)}

    def prepare(self, generator: Generator) -> None:
        """Load the adapter onto the generator's backbone, so that the first `propose` does not have to."""
        attach(generator, self.adapter, "finetune")

    def propose(self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource) -> Iterator[Outcome]:  # noqa: ARG002
        finetuned = FinetunedGenerator(generator, attach(generator, self.adapter, "finetune"))
        noise = noises.batch(tasks).to(generator.device, torch.promote_types(generator.dtype, torch.float32))
        # no_grad, not inference_mode: what a model caches here (text, positions) may be needed in a graph by the next method.
        with torch.no_grad():
            images = finetuned.generate(noise, generator.encode([task.prompt for task in tasks]))
        for row, task in enumerate(tasks):
            yield Outcome(task, self.name, images[row], noise[row])
