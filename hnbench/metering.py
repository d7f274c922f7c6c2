"""Costs are counted, not guessed: passes through the generator and the reward, seconds, and the
peak of a GPU's memory. (`hnbench.flops` counts floating-point operations.)

Passes are counted in images. A forward pass is counted when it is asked for; a backward pass when
autograd enters the graph behind the model's output, so a pass whose gradient nobody needs is not
counted.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hnbench.generators.base import Conditioning, Generator
from hnbench.rewards.base import Reward

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor


@dataclass
class Meter:
    """Passes so far, in images. Several metered models may share one."""

    generator_forward: int = 0
    generator_backward: int = 0
    reward_forward: int = 0
    reward_backward: int = 0

    def count(self, model: str, output: Tensor, passes: int) -> None:
        """Count `passes` forward passes of `model` (`"generator"` or `"reward"`) now, and as many
        backward passes when autograd makes them.
        """
        self._add(f"{model}_forward", passes)
        if output.grad_fn is not None:
            # On the graph's node, not on the tensor: a tensor's hook also fires when the gradient
            # stops at the tensor.
            output.grad_fn.register_prehook(lambda *_: self._add(f"{model}_backward", passes))

    def _add(self, name: str, passes: int) -> None:
        setattr(self, name, getattr(self, name) + passes)


@dataclass
class _Calls:
    """The calls of `generate` so far, which a metered generator shares with its other weights."""

    largest: int = 0


class MeteredGenerator(Generator):
    """A generator whose passes are counted: `steps` per generated image, one per prediction."""

    def __init__(
        self,
        generator: Generator,
        meter: Meter,
        steps: int | None = None,
        images_at_once: int | None = None,
    ) -> None:
        """Wrap `generator`. With `steps`, every image takes that many steps, whatever a call of
        `generate` says: the run decides that, not the method. So it is with `images_at_once`.
        """
        self.name = generator.name
        self.noise_shape = generator.noise_shape
        self.backbone = generator.backbone
        self.last_layer = generator.last_layer
        self.images_at_once = images_at_once
        self._calls = _Calls()
        self._generator, self._meter, self._steps = generator, meter, steps

    @property
    def most_at_once(self) -> int:
        """The most images that a call of `generate` was asked for."""
        return self._calls.largest

    @property
    def device(self) -> torch.device:
        return self._generator.device

    @property
    def dtype(self) -> torch.dtype:
        return self._generator.dtype

    @property
    def fingerprint(self) -> str:
        return self._generator.fingerprint

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        return self._generator.encode(prompts)

    def with_weights_of(self, folder: Path) -> Generator:
        """The other generator, whose passes are counted as this one's."""
        other = MeteredGenerator(
            self._generator.with_weights_of(folder), self._meter, self._steps, self.images_at_once
        )
        other._calls = self._calls
        return other

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        steps = self._steps or steps
        self._calls.largest = max(self._calls.largest, len(noise))
        images = self._generator.generate(noise, conditioning, steps)
        self._meter.count("generator", images, len(noise) * steps)
        return images

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        output = self._generator.predict(noise, conditioning)
        self._meter.count("generator", output, len(noise))
        return output

    def to_grid(self, noise: Tensor) -> Tensor:
        return self._generator.to_grid(noise)

    def from_grid(self, grid: Tensor) -> Tensor:
        return self._generator.from_grid(grid)


class MeteredReward(Reward):
    """A reward whose passes are counted, one per image; a mixture counts as one reward."""

    def __init__(self, reward: Reward, meter: Meter) -> None:
        self.name = reward.name
        self._reward, self._meter = reward, meter

    @property
    def fingerprint(self) -> str:
        return self._reward.fingerprint

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        scores = self._reward.score(images, prompts)
        self._meter.count("reward", scores, len(images))
        return scores


@dataclass
class Usage:
    """The time and memory that a block of code took; set when the block has ended."""

    seconds: float = 0.0
    """Wall time, with the device's queue empty at both ends."""
    peak_memory_bytes: int | None = None
    """The most that was allocated on the GPU during the block. None on a CPU: the memory of a
    process has no peak that could be reset, so it says nothing of the block.
    """


@contextmanager
def measured(device: torch.device, usage: Usage) -> Iterator[None]:
    """Measure the block into `usage`, also when it raises."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    try:
        yield
    finally:
        if cuda:
            torch.cuda.synchronize(device)
            usage.peak_memory_bytes = torch.cuda.max_memory_allocated(device)
        usage.seconds = time.perf_counter() - start
