"""A method with a training: one change of the noise, the same for all prompts and noises.

It is the simplest thing between random noise and a noise hypernetwork, and shows the parts of a
trained method: parameters, an identity, `skip`, `prepare`, `passes` and `propose`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # needed at run time, because hnbench reads the types of the fields
from typing import TYPE_CHECKING, Any

from hnbench.methods.base import (
    Method,
    Passes,
    conditioning_of,
    one_each,
    starting_noise,
    without_gradient,
)
from hnbench_example.adapter import Adapter, read_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Outcome
    from hnbench.methods.training import Training
    from hnbench.rewards.base import Reward
    from hnbench.seeds import NoiseSource
    from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Offset(Method):
    """One generation from the starting noise plus a trained offset, scaled by `strength`."""

    adapter: Path
    """The file that `python -m hnbench_example.training` wrote."""
    strength: float = 1.0

    name = "offset"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        adapter = read_adapter(self.adapter)
        return {"name": self.name, "adapter": adapter.sha256, "strength": self.strength}

    def skip(self, generator: Generator) -> str | None:
        # A reason is for generators that cannot work. A mistake of the user is an error of
        # `prepare`.
        if len(generator.noise_shape) != 3:
            shape = list(generator.noise_shape)
            return f"an offset needs noise of [channels, height, width], and this one has {shape}"
        return None

    def prepare(self, generator: Generator) -> Training:
        return self._loaded(generator).training

    def passes(self, steps: int) -> Passes:
        return Passes(steps)

    def propose(
        self,
        tasks: Sequence[Task],
        generator: Generator,
        reward: Reward,  # noqa: ARG002
        noises: NoiseSource,
    ) -> Iterator[Outcome]:
        offset = self._loaded(generator).offset
        with without_gradient():
            noise = starting_noise(generator, noises, tasks)
            chosen = noise + self.strength * offset.to(noise)
            images = generator.generate(chosen, conditioning_of(generator, noises, tasks))
        yield from one_each(tasks, self.name, images, chosen)

    def _loaded(self, generator: Generator) -> Adapter:
        adapter = read_adapter(self.adapter)
        adapter.require_generator(generator)
        return adapter
