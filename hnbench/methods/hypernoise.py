"""Noise hypernetworks (HyperNoise, arXiv 2508.09968): the change of the noise is predicted in one pass.

Nothing is optimised when an image is asked for: the optimisation was paid once, in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.checkpoint import adapter_sha256, attach
from hnbench.methods.base import Method, Outcome
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


def starting_noise(generator: Generator, noises: NoiseSource, tasks: Sequence[Task], candidate: int = 0) -> Tensor:
    """The tasks' noises on the generator's device, float32 or wider, `[B, *noise_shape]`."""
    return noises.batch(tasks, candidate).to(generator.device, torch.promote_types(generator.dtype, torch.float32))


@dataclass(frozen=True, kw_only=True)
class HyperNoise(Method):
    """One pass of the hypernetwork, one generation from the changed noise."""

    adapter: Path
    """The folder of an adapter of kind `"hypernoise"`."""
    name = "hypernoise"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": adapter_sha256(self.adapter)}

    def prepare(self, generator: Generator) -> None:
        """Load the adapter onto the generator's backbone, so that the first `propose` does not have to."""
        attach(generator, self.adapter, "hypernoise")

    def propose(self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource) -> Iterator[Outcome]:  # noqa: ARG002
        network = Hypernetwork(generator, attach(generator, self.adapter, "hypernoise"))
        # no_grad, not inference_mode: what a model caches here (text, positions) may be needed in a graph by the next method.
        with torch.no_grad():
            conditioning = generator.encode([task.prompt for task in tasks])
            noise = starting_noise(generator, noises, tasks)
            chosen = noise + self._change(network, noise, conditioning, tasks, noises)
            images = generator.generate(chosen, conditioning)
        for row, task in enumerate(tasks):
            yield Outcome(task, self.name, images[row], chosen[row])

    def _change(
        self,
        network: Hypernetwork,
        noise: Tensor,
        conditioning: Conditioning,
        tasks: Sequence[Task],  # noqa: ARG002
        noises: NoiseSource,  # noqa: ARG002
    ) -> Tensor:
        """What is added to the starting noises `[B, *noise_shape]`; the controls have another."""
        return network.displacement(noise, conditioning)
