"""Controls for noise hypernetworks: changes of the noise that do not help if the hypernetwork's own
change is what matters.

Together they say what the gain depends on: `OtherNoise` keeps the prompt and not the noise,
`OtherPrompt` the noise and not the prompt, `Static` neither, and `RandomDirection` only the length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.methods.base import Passes, conditioning_of, starting_noise, without_gradient
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.training import Training
from hnbench.seeds import NoiseSource, digest, seed_of
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


@dataclass(frozen=True, kw_only=True)
class _AmongPrompts(HyperNoise):
    """A control that needs the suite's prompts."""

    prompts: ClassVar[tuple[str, ...]] = ()
    """In alphabetical order. No parameter: the suite decides it."""

    def among(self, prompts: Sequence[str]) -> Self:
        known = copy(self)
        # An attribute of this copy alone; a field would be a parameter that a user can give.
        object.__setattr__(known, "prompts", tuple(sorted(set(prompts))))
        return known


@dataclass(frozen=True, kw_only=True)
class OtherPrompt(_AmongPrompts):
    """The change that the hypernetwork computes for the same noise and another prompt of the suite.
    It answers whether the change depends on the prompt at all.

    Which prompt that is depends on the base seed, the prompt and the sample.
    """

    name = "hypernoise-other-prompt"

    def skip(self, generator: Generator) -> str | None:  # noqa: ARG002
        """A suite without a second prompt."""
        return None if len(self.prompts) > 1 else "it needs a suite with at least two prompts"

    def other(self, task: Task, base_seed: int) -> str:
        """The other prompt of a task, any of the suite's but its own."""
        own = bisect_left(self.prompts, task.prompt)
        known = own < len(self.prompts) and self.prompts[own] == task.prompt
        place = seed_of("other prompt", base_seed, task.prompt, task.sample) % (
            len(self.prompts) - known
        )
        return self.prompts[place + (known and place >= own)]

    def _change(
        self,
        network: Hypernetwork,
        noise: Tensor,
        conditioning: Conditioning,  # noqa: ARG002
        tasks: Sequence[Task],
        noises: NoiseSource,
    ) -> Tensor:
        others = [self.other(task, noises.base_seed) for task in tasks]
        encoded = network.generator.encode(others).seeded(noises.step_seeds(tasks))
        return network.displacement(noise, encoded)


@dataclass(frozen=True, kw_only=True)
class Static(_AmongPrompts):
    """The mean change over prompts and noises, the same for every image. It answers whether one
    constant shift of the noise would do.

    The mean is over `PAIRS` pairs of a prompt of the suite and a noise, always the same ones. It is
    computed before the first image, and no pass of the hypernetwork is needed afterwards.
    """

    name = "hypernoise-static"

    def skip(self, generator: Generator) -> str | None:  # noqa: ARG002
        """No suite."""
        return None if self.prompts else "it needs the prompts of a suite"

    def prepare(self, generator: Generator) -> Training:
        training = super().prepare(generator)
        self._mean(Hypernetwork(generator, self._attached(generator)))
        return training

    def passes(self, steps: int) -> Passes:
        return Passes(steps)

    def _change(
        self,
        network: Hypernetwork,
        noise: Tensor,
        conditioning: Conditioning,  # noqa: ARG002
        tasks: Sequence[Task],  # noqa: ARG002
        noises: NoiseSource,  # noqa: ARG002
    ) -> Tensor:
        return self._mean(network).to(noise).expand_as(noise)

    def _mean(self, network: Hypernetwork) -> Tensor:
        """The mean change, `[1, *noise_shape]`, computed once per backbone, adapter and suite."""
        known = _means.setdefault(network.generator.backbone, {})
        key = adapter_sha256(self.adapter), digest(self.prompts)
        if key not in known:
            known[key] = _mean_change(network, self.prompts)
        return known[key]


PAIRS = 256
"""The number of pairs that `Static` averages over."""
_AT_ONCE = 8
"""Pairs in one pass of the hypernetwork."""
_means: WeakKeyDictionary[nn.Module, dict[tuple[str, str], Tensor]] = WeakKeyDictionary()
"""Backbone -> (adapter, prompts) -> mean change. An entry ends with its backbone."""


@without_gradient()
def _mean_change(network: Hypernetwork, prompts: Sequence[str]) -> Tensor:
    noises = NoiseSource(0, network.generator.noise_shape)
    tasks = [
        Task(f"static/{number}", prompts[number % len(prompts)], number // len(prompts))
        for number in range(PAIRS)
    ]
    total = torch.zeros(())
    for start in range(0, PAIRS, _AT_ONCE):
        batch = tasks[start : start + _AT_ONCE]
        noise = starting_noise(network.generator, noises, batch, OTHER)
        text = conditioning_of(network.generator, noises, batch)
        # In float64, so that the mean does not depend on the size of the batches.
        total = total.to(noise.device) + network.displacement(noise, text).double().sum(0, True)
    return total / PAIRS
