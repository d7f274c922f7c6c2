"""The pairs of a regression: noises, and what a search found from them.

Prompt and noise of a pair follow from the seed and its number alone. Pairs are made in batches, one
after the other, before the first step of the training; several processes share each batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.hypernetwork.checkpoint import TrainingCost
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.epochs import Epochs
from hnbench.hypernetwork.folder import State
from hnbench.hypernetwork.processes import Processes
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource, seed_of
from hnbench.tasks import Task


class FoundNoise(Protocol):
    """The result of a search for a task, such as a `hnbench.methods.base.Outcome`."""

    @property
    def noise(self) -> Tensor:
        """The noise, `[*noise_shape]`."""

    @property
    def trajectory(self) -> tuple[float, ...] | None:
        """The rewards of all noises that it saw, that of the starting noise first."""


class NoiseSearch(Protocol):
    """A search for a better noise, such as ReNO. Rooms below the methods know it by this only."""

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[FoundNoise]:
        """Yield a result for each task, in their order, as `hnbench.methods.base.Method` does."""


@dataclass(frozen=True)
class MadePairs:
    """The pairs of one batch, on the CPU."""

    found: Tensor
    """The noises that the search found, `[B, *noise_shape]`."""
    rewards: Tensor
    """The rewards of the starting noises and of those found, `[B, 2]` in float64; NaN where none
    was finite.
    """
    cost: TrainingCost
    """The cost of making them, in all processes together."""


class NoisePairs:
    """All pairs of one training, as they are made."""

    def __init__(
        self,
        config: TrainingConfig,
        search: NoiseSearch,
        prompts: Sequence[str],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        part: slice = slice(None),
    ) -> None:
        """`search` makes the pairs. `prompts` are those to train on: each pair takes the next one
        of an epoch. Noises are kept in `dtype`. `part` is this process's part of a batch of the
        training.
        """
        self.count, self.size = config.pairs or 0, config.batch_size
        self._config, self._search, self._part = config, search, part
        order = Epochs(config, len(prompts))
        self.tasks = [
            Task(str(number), prompts[order.at(number)], number // len(prompts))
            for number in range(self.count)
        ]
        self.noises = NoiseSource(seed_of("pairs", config.seed), shape)
        self.found = torch.zeros(self.count, *shape, dtype=dtype)
        self.rewards = torch.full((self.count, 2), math.nan, dtype=torch.float64)
        self.done = 0
        """The number of pairs that have been made."""
        self._usable: list[int] = []

    @property
    def batches(self) -> int:
        """The number of batches that the pairs are made in."""
        return -(-self.count // self.size)

    @property
    def missing(self) -> range:
        """The numbers of the batches that have not been made."""
        return range(-(-self.done // self.size), self.batches)

    def batch(self, number: int) -> range:
        """The pairs of batch `number`."""
        return range(number * self.size, min((number + 1) * self.size, self.count))

    def clear(self) -> None:
        """Begin with none."""
        self.done = 0

    def add(self, made: MadePairs) -> None:
        """Add the next batch."""
        self._add(made.found, made.rewards)

    def _add(self, found: Tensor, rewards: Tensor) -> None:
        after = self.done + len(found)
        self.found[self.done : after], self.rewards[self.done : after] = found, rewards
        self.done = after

    def share(self, processes: Processes) -> None:
        """Give all processes the pairs that the main one has read."""
        own = {"found": self.found[: self.done], "rewards": self.rewards[: self.done]}
        state = State(self.done, {"pairs": own}, {}) if processes.main else None
        shared = processes.share(state).tensors["pairs"]
        if not processes.main:
            self.clear()
            self._add(shared["found"], shared["rewards"])

    def make(
        self,
        batch: Sequence[int],
        generator: Generator,
        reward: Reward,
        processes: Processes,
    ) -> tuple[Tensor, Tensor]:
        """The noises that the search finds for these pairs, and the rewards of `MadePairs`. Each
        process searches for its share of them.
        """
        found, rewards = torch.zeros_like(self.found[batch]), torch.zeros_like(self.rewards[batch])
        own = range(len(batch))[processes.launch.index :: processes.count]
        if own:  # there may be fewer pairs than processes
            tasks = [self.tasks[batch[place]] for place in own]
            outcomes = self._search.propose(tasks, generator, reward, self.noises)
            for place, outcome in zip(own, outcomes, strict=True):
                seen = outcome.trajectory or ()
                finite = [value for value in seen if math.isfinite(value)]
                found[place] = outcome.noise.cpu()
                rewards[place, 0] = seen[0] if finite else math.nan
                rewards[place, 1] = max(finite, default=math.nan)
        return processes.sums(found), processes.sums(rewards)

    def finish(self) -> None:
        """Leave out the pairs without a finite reward, in which the search has found nothing. If
        that is all of them, it is a `UsageError`.
        """
        self._usable = self.rewards[:, 1].isfinite().nonzero().flatten().tolist()
        if not self._usable:
            raise UsageError(
                f"none of the {self.count} pairs has a finite reward; check the rewards, or lower"
                " `reno_learning_rate`"
            )
        self._epochs = Epochs(self._config, len(self._usable), self._part)

    def drawn(self, step: int, micro: int) -> tuple[list[str], Tensor, Tensor]:
        """Prompts, noises and targets (what the search added to the noises) of this part of batch
        `micro` of an optimizer step, on the CPU. Each epoch goes through all pairs.
        """
        numbers = [self._usable[place] for place in self._epochs.batch(step, micro)]
        noise, target = self._noise_and_target(numbers)
        return [self.tasks[number].prompt for number in numbers], noise, target

    def facts(self) -> dict[str, Any]:
        """Facts about the pairs that are used, as JSON types: their number and that of all, and the
        means of both rewards and of the size of the targets.
        """
        rewards = self.rewards[self._usable].mean(0)
        sizes = torch.cat(
            [self._sizes(self._usable[start : start + 64]) for start in range(0, self._used, 64)]
        )
        return {
            "made": self.count,
            "used": self._used,
            "reward": float(rewards[0]),
            "found_reward": float(rewards[1]),
            "half_squared_norm": float(0.5 * sizes[:, 0].square().mean()),
            "relative_change": float((sizes[:, 0] / sizes[:, 1]).mean()),
        }

    @property
    def _used(self) -> int:
        return len(self._usable)

    def _sizes(self, numbers: Sequence[int]) -> Tensor:
        """The norms of targets and noises, `[N, 2]` in float64."""
        both = reversed(self._noise_and_target(numbers))
        return torch.stack([one.double().flatten(1).norm(dim=1) for one in both], dim=1)

    def _noise_and_target(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        noise = self.noises.batch([self.tasks[number] for number in numbers]).to(self.found.dtype)
        return noise, self.found[list(numbers)] - noise
