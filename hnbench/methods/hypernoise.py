"""Noise hypernetworks (HyperNoise, arXiv 2508.09968): one pass predicts the change of the noise.

Nothing is optimised for a single image: the cost of the optimisation was paid once, in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.adapter import Hypernetwork
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
class HyperNoise(AdapterMethod):
    """One pass of the hypernetwork, then one generation from the changed noise."""

    name = "hypernoise"
    kind = "hypernoise"

    def passes(self, steps: int) -> Passes:
        return Passes(1 + steps)

    def propose(
        self,
        tasks: Sequence[Task],
        generator: Generator,
        reward: Reward,  # noqa: ARG002
        noises: NoiseSource,
    ) -> Iterator[Outcome]:
        network = Hypernetwork(generator, self._attached(generator))
        with without_gradient():
            conditioning = conditioning_of(generator, noises, tasks)
            noise = starting_noise(generator, noises, tasks)
            chosen = noise + self._change(network, noise, conditioning, tasks, noises)
            images = generator.generate(chosen, conditioning)
        yield from one_each(tasks, self.name, images, chosen)

    def _change(
        self,
        network: Hypernetwork,
        noise: Tensor,
        conditioning: Conditioning,
        tasks: Sequence[Task],  # noqa: ARG002
        noises: NoiseSource,  # noqa: ARG002
    ) -> Tensor:
        """The change that is added to the starting noises, `[B, *noise_shape]`. The controls
        replace it.
        """
        return network.displacement(noise, conditioning)
