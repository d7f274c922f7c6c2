"""Searches for a noise without gradients: rounds of proposals, each made from the scores of the
rounds before.

What differs is the rule that proposes; see `zero_order`, `spectral` and `evolution`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.base import Method, Outcome, Passes, placed, without_gradient
from hnbench.methods.candidates import Candidates, keep_better
from hnbench.methods.filled_passes import FilledPasses
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

Fresh = Callable[[], Tensor]
"""Draws the tasks' next noises `[B, *noise_shape]` from N(0, I), which no earlier call gave."""


class Rule(ABC):
    """The state of a search for B tasks. Every operation is per task, on the device, and never
    waits for a value.
    """

    @abstractmethod
    def propose(self) -> Tensor:
        """The noises to evaluate in the next round, `[K, B, *noise_shape]`."""

    @abstractmethod
    def learn(self, noises: Tensor, scores: Tensor) -> None:
        """Take in the scores `[K, B]` of the latest proposals. One that is not finite must never be
        preferred.
        """


@dataclass(frozen=True, kw_only=True)
class Search(Method):
    """Evaluates the starting noise, then the proposals of each round, and returns the evaluated
    noise of the highest reward. So it is never worse than the starting noise.

    The Gaussian numbers are those of the sample's candidates 1, 2, ..., which best-of-N draws too.
    They do not depend on the batch, or on the order of the tasks.
    """

    nested: bool = False
    """Whether the best of the first 2, 4, 8, ... evaluated noises are reported too: the search as
    it would be with a smaller budget, at that share of the cost.
    """

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """The number of noises that are evaluated for one task, the starting noise included."""

    @abstractmethod
    def _rule(self, first: Candidates, fresh: Fresh, generator: Generator) -> Rule:
        """The rule at its beginning; `first` are the starting noises with their scores."""

    @property
    def _budgets(self) -> dict[str, int]:
        """Label -> the number of evaluated noises that its row is the best of."""
        nested = range(1, self.evaluations.bit_length()) if self.nested else ()
        smaller = [2**power for power in nested if 2**power < self.evaluations]
        return {f"{self.name}-of-{one}": one for one in smaller} | {self.name: self.evaluations}

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._budgets)

    def identity(self) -> dict[str, Any]:
        # More rows of the same search do not change any of them.
        settings = {name: value for name, value in asdict(self).items() if name != "nested"}
        return {"name": self.name, **settings}

    def passes(self, steps: int) -> Passes:
        return Passes(self.evaluations * steps, reward_forward=self.evaluations)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        best, scores = self._search(tasks, generator, reward, noises)
        trajectories = scores.tolist()
        for row, task in enumerate(tasks):
            for label, budget in self._budgets.items():
                found = best[budget]
                yield Outcome(
                    task,
                    label,
                    found.image[row],
                    found.noise[row],
                    share=budget / self.evaluations,
                    trajectory=tuple(trajectories[row][:budget]),
                )

    @without_gradient()
    def _search(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> tuple[dict[int, Candidates], Tensor]:
        """Return the best candidates after each reported number of evaluations, and every
        candidate's score `[B, evaluations]`.
        """
        numbers, reported = count(), set(self._budgets.values())

        def fresh() -> Tensor:
            return placed(generator, noises.batch(tasks, next(numbers)))

        passes = FilledPasses(tasks, generator, reward, noises)
        best = passes.evaluated(fresh())
        scores, rule = [best.score], self._rule(best, fresh, generator)
        bests = {1: best}
        while len(scores) < self.evaluations:
            proposed = rule.propose()[: self.evaluations - len(scores)]
            for new in passes.one_by_one(proposed):
                scores.append(new.score)
                best = keep_better(best, new)
                if len(scores) in reported:
                    bests[len(scores)] = best
            rule.learn(proposed, torch.stack(scores[-len(proposed) :]))
        return bests, torch.stack(scores, dim=1)


def ranked(scores: Tensor) -> Tensor:
    """Scores in which those that are not finite are lower than all others."""
    return torch.where(scores.isfinite(), scores, -torch.inf)


def chosen(values: Tensor, places: Tensor) -> Tensor:
    """The values `[K, B, *shape]` at places `[k, B]` of their first dimension, for each of B tasks:
    `[k, B, *shape]`.
    """
    index = places.view(*places.shape, *[1] * (values.ndim - 2))
    return values.gather(0, index.expand(*places.shape, *values.shape[2:]))


def require_whole(method: str, least: int, **values: Any) -> None:
    """Raise a `UsageError` for a parameter that is not a whole number of at least `least`."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UsageError(
                f"{method}: {name} was {value!r}; it must be a whole number of at least {least}"
            )
