"""The preconditioned Crank-Nicolson Langevin chain (pCNL): samples of the reward-tilted noise along
the reward's gradient.

Cotter et al., "MCMC Methods for Functions: Modifying Old Algorithms to Make Them Faster",
Statistical Science 28 (2013); for one-step generators, and with these numbers, the first stage of
Psi-Sampler, arXiv 2506.01320.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.methods.base import Passes
from hnbench.methods.candidates import Candidates, per_sample
from hnbench.methods.chain import Chain, ChainState
from hnbench.methods.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Langevin(Chain):
    """Propose `rho x + sqrt(1 - rho**2) (N(0, I) + sqrt(delta) / 2 D(x))` with `rho = (1 - delta /
    4) / (1 + delta / 4)` and the drift `D`, the gradient of `r(g(x)) / alpha`.

    The chain is exact for any drift, so shortening a long one costs only acceptance.
    """

    delta: float = 0.5
    """The step size, above 0 and below 4."""
    largest_drift: float | None = None
    """The largest root mean square of the drift's numbers; a longer drift is shortened to it. None:
    never. Psi-Sampler has 0.0004 for FLUX.1-schnell.
    """

    name = "langevin"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.delta < 4:
            raise UsageError(f"{self.name}: delta was {self.delta}; it must be above 0 and below 4")
        if self.largest_drift is not None and not 0 < self.largest_drift < math.inf:
            raise UsageError(
                f"{self.name}: largest_drift was {self.largest_drift}; it must be a number above 0"
            )

    @property
    def rho(self) -> float:
        """The share of a state that stays in its proposal."""
        return (1 - self.delta / 4) / (1 + self.delta / 4)

    def passes(self, steps: int) -> Passes:
        evaluations = self.steps + 1
        return Passes(evaluations * steps, evaluations * steps, evaluations, evaluations)

    def _evaluated(self, problem: Problem, noise: Tensor) -> ChainState:
        found = problem.evaluated(noise, differentiable=True)
        (gradient,) = torch.autograd.grad(found.score.sum(), found.noise)
        drift = gradient / self.alpha
        if self.largest_drift is not None:
            size = drift.flatten(1).square().mean(dim=1).sqrt()
            drift = drift * per_sample((self.largest_drift / size).clamp(max=1.0), drift)
        detached = Candidates(found.noise.detach(), found.image.detach(), found.score.detach())
        return ChainState(detached, drift)

    def _proposed(self, state: ChainState, drawn: Tensor) -> Tensor:
        moved = drawn + math.sqrt(self.delta) / 2 * state.drift
        return self.rho * state.candidates.noise + math.sqrt(1 - self.rho**2) * moved

    def _log_acceptance(self, state: ChainState, proposal: ChainState) -> Tensor:
        return self._towards(proposal, state) - self._towards(state, proposal)

    def _towards(self, one: ChainState, other: ChainState) -> Tensor:
        """The logarithm of the target's density at `one` times that of proposing `other` from
        there, both relative to N(0, I), up to what is the same in both directions.
        """
        drift = one.drift.flatten(1).double()
        step = other.candidates.noise.double() - self.rho * one.candidates.noise.double()
        along = (step.flatten(1) * drift).sum(dim=1) / math.sqrt(1 - self.rho**2)
        return (
            one.candidates.score.double() / self.alpha
            - self.delta / 8 * drift.square().sum(dim=1)
            + math.sqrt(self.delta) / 2 * along
        )
