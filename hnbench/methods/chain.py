"""Markov chains whose states become samples of the reward-tilted noise: `N(x; 0, I) exp(r(g(x)) /
alpha)`, up to a constant (HyperNoise, arXiv 2508.09968, Eq. 5).

A hypernetwork is trained towards this density. The last state of a chain says what samples of it
are worth, apart from how near a hypernetwork comes to it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.devices.transfers import to_device
from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.base import Method, Outcome
from hnbench.methods.candidates import Candidates, keep_better, per_sample
from hnbench.methods.problem import Problem
from hnbench.methods.search import require_whole
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True)
class ChainState:
    """The states of the chains of B samples."""

    candidates: Candidates
    """Detached."""
    drift: Tensor
    """The gradient of `r(g(x)) / alpha`, `[B, *noise_shape]`; zeros for a chain without
    gradients.
    """

    @property
    def usable(self) -> Tensor:
        """Whether score and drift are finite, `[B]`."""
        return self.candidates.score.isfinite() & self.drift.flatten(1).isfinite().all(dim=1)


@dataclass(frozen=True, kw_only=True)
class Chain(Method, ABC):
    """A Metropolis-Hastings chain from the starting noise, with two rows: its last state, and the
    best noise that it evaluated (`NAME-best`).

    Proposal k comes from the sample's candidate k. A proposal whose score or gradient is not finite
    is never accepted. The share of accepted proposals is in each record.
    """

    steps: int = 49
    """The number of proposals, at least 1. With the starting noise, 49 make 50 evaluations."""
    alpha: float = 1.0
    """The temperature of the reward, above 0. The target of a hypernetwork is in its description:
    1 for `regulariser_reduction` sum and weight 1, and 1 / d for the mean over d numbers.
    """

    def __post_init__(self) -> None:
        require_whole(self.name, 1, steps=self.steps)
        if not 0 < self.alpha < math.inf:
            raise UsageError(f"{self.name}: alpha was {self.alpha}; it must be a number above 0")

    @abstractmethod
    def _evaluated(self, problem: Problem, noise: Tensor) -> ChainState:
        """The states at these noises."""

    @abstractmethod
    def _proposed(self, state: ChainState, drawn: Tensor) -> Tensor:
        """The proposals from a state and a fresh N(0, I), `[B, *noise_shape]`."""

    @abstractmethod
    def _log_acceptance(self, state: ChainState, proposal: ChainState) -> Tensor:
        """The logarithm of the acceptance ratio, `[B]`, in float64."""

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name, f"{self.name}-best")

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        problem = Problem(tasks, generator, reward, noises)
        lots = to_device(log_uniforms(noises, tasks, self.steps), generator.device)
        last, best, accepted, scores = self._run(problem, lots)
        shares, trajectories = accepted.tolist(), scores.tolist()
        for row, task in enumerate(tasks):
            for label, found in zip(self.labels, (last, best), strict=True):
                yield Outcome(
                    task,
                    label,
                    found.image[row],
                    found.noise[row],
                    trajectory=tuple(trajectories[row]),
                    acceptance=shares[row],
                )

    def _run(self, problem: Problem, lots: Tensor) -> tuple[Candidates, Candidates, Tensor, Tensor]:
        """Return the last state, the best evaluated candidates, the shares of accepted proposals
        `[B]`, and the scores of all evaluated noises `[B, 1 + steps]`.
        """
        state = self._evaluated(problem, problem.drawn(0))
        best, scores, accepted = state.candidates, [state.candidates.score], []
        for step in range(self.steps):
            noise = self._proposed(state, problem.drawn(step + 1))
            proposal = self._evaluated(problem, noise)
            best = keep_better(best, proposal.candidates)
            scores.append(proposal.candidates.score)
            # A start that cannot be used is left at once.
            ratio = torch.where(state.usable, self._log_acceptance(state, proposal), math.inf)
            accept = proposal.usable & (lots[:, step] < ratio)
            accepted.append(accept)
            state = _where(accept, proposal, state)
        share = torch.stack(accepted).double().mean(dim=0)
        return state.candidates, best, share, torch.stack(scores, dim=1)


def log_uniforms(noises: NoiseSource, tasks: Sequence[Task], count: int) -> Tensor:
    """Logarithms of uniform numbers, `[B, count]`, in float64 on the CPU. They depend on the sample
    alone, like the noises.
    """
    found = [
        torch.rand(count, dtype=torch.float64, generator=torch.Generator("cpu").manual_seed(seed))
        for seed in noises.seeds(tasks, "acceptance")
    ]
    return torch.stack(found).log()


def _where(accept: Tensor, new: ChainState, old: ChainState) -> ChainState:
    def chosen(one: Tensor, other: Tensor) -> Tensor:
        return torch.where(per_sample(accept, one), one, other)

    return ChainState(
        Candidates(
            chosen(new.candidates.noise, old.candidates.noise),
            chosen(new.candidates.image, old.candidates.image),
            torch.where(accept, new.candidates.score, old.candidates.score),
        ),
        chosen(new.drift, old.drift),
    )
