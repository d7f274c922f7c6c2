"""The preconditioned Crank-Nicolson chain (pCN): samples of the reward-tilted noise without
gradients.

Cotter et al., "MCMC Methods for Functions: Modifying Old Algorithms to Make Them Faster",
Statistical Science 28 (2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.methods.base import Passes, without_gradient
from hnbench.methods.chain import Chain, ChainState
from hnbench.methods.problem import Problem


@dataclass(frozen=True, kw_only=True)
class PCN(Chain):
    """Propose `sqrt(1 - step**2) x + step N(0, I)`, and accept with probability `min(1,
    exp((r(y) - r(x)) / alpha))`. The proposal keeps N(0, I), so only the reward decides.
    """

    step: float = 0.2
    """The standard deviation of what is new in a proposal, above 0 and at most 1."""

    name = "pcn"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.step <= 1:
            raise UsageError(f"{self.name}: step was {self.step}; it must be above 0 and at most 1")

    def passes(self, steps: int) -> Passes:
        evaluations = self.steps + 1
        return Passes(evaluations * steps, reward_forward=evaluations)

    @without_gradient()
    def _evaluated(self, problem: Problem, noise: Tensor) -> ChainState:
        return ChainState(problem.evaluated(noise), torch.zeros_like(noise))

    def _proposed(self, state: ChainState, drawn: Tensor) -> Tensor:
        return math.sqrt(1 - self.step**2) * state.candidates.noise + self.step * drawn

    def _log_acceptance(self, state: ChainState, proposal: ChainState) -> Tensor:
        return (proposal.candidates.score.double() - state.candidates.score.double()) / self.alpha
