"""Controls for noise hypernetworks: changes of the noise that do not help if the hypernetwork's own
change is what matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hnbench.generators.base import Conditioning
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.methods.base import starting_noise
from hnbench.methods.hypernoise import HyperNoise
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

DIRECTION, OTHER = 1_000_001, 1_000_002
"""The candidate numbers of the controls' noises, far beyond those of any search, so that no search
draws the same noises.
"""


@dataclass(frozen=True, kw_only=True)
class RandomDirection(HyperNoise):
    """A change in a random direction, as long as the hypernetwork's change of the same noise. It
    answers whether the direction matters, or only the distance.
    """

    name = "hypernoise-random-direction"

    def _change(
        self,
        network: Hypernetwork,
        noise: Tensor,
        conditioning: Conditioning,
        tasks: Sequence[Task],
        noises: NoiseSource,
    ) -> Tensor:
        length = super()._change(network, noise, conditioning, tasks, noises).flatten(1).norm(dim=1)
        direction = starting_noise(network.generator, noises, tasks, DIRECTION)
        scale: Tensor = length / direction.flatten(1).norm(dim=1)
        return (direction.flatten(1) * scale[:, None]).view_as(noise)


@dataclass(frozen=True, kw_only=True)
class OtherNoise(HyperNoise):
    """The change that the hypernetwork computes for another noise of the same prompt. It answers
    whether the change depends on the noise at all.
    """

    name = "hypernoise-other-noise"

    def _change(
        self,
        network: Hypernetwork,
        noise: Tensor,  # noqa: ARG002
        conditioning: Conditioning,
        tasks: Sequence[Task],
        noises: NoiseSource,
    ) -> Tensor:
        other = starting_noise(network.generator, noises, tasks, OTHER)
        return super()._change(network, other, conditioning, tasks, noises)
