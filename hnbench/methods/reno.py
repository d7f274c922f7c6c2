"""ReNO: gradient ascent on the starting noise, through the generator and the rewards.

Eyring et al., "ReNO: Enhancing One-step Text-to-Image Models through Reward-based Noise
Optimization", arXiv 2406.04312. The loss and the defaults are those of the published code. Batches
are our addition: every sum, norm and clip is per sample, so that a batch of B gives the same as B
single runs.

Later methods differ in the optimiser, the regulariser or the gradient; see `gper`, `mpgr`, `dno`
and `hybrid`. Their parts are parameters here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.base import Method, Outcome, Passes
from hnbench.methods.candidates import Candidates, keep_better, per_sample
from hnbench.methods.concentration import COLUMNS, concentration_penalty
from hnbench.methods.power_penalty import power_penalty
from hnbench.methods.problem import Problem
from hnbench.methods.search import require_whole
from hnbench.methods.updates import SGD, Adam, Update
from hnbench.methods.white_noise import NUMBERS, white
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

CHOICES = {
    "optimiser": ("sgd", "adam"),
    "regulariser": ("chi", "mpgr", "prno", "none"),
    "precondition": ("none", "wgn"),
}
"""The values of the parameters that are names."""
ADDED = (*CHOICES, "weight_decay", "starts")
"""The parameters that the published ReNO does not have."""
ORDERS = 100
"""The random orders that `prno` takes the mean over in each iteration."""


@dataclass(frozen=True, kw_only=True)
class ReNO(Method):
    """Minimise `-reward(g(e)) + regulariser_weight * regulariser(e)` over the noise `e` of each
    sample, by gradient descent.

    Iteration 0 is the unchanged starting noise. Every iteration has one forward pass, and all but
    the last have one backward pass. The iterate with the highest reward (without the regulariser)
    is kept, so it is never worse than the starting noise. The paper uses a learning rate of 5 for
    images of 512 pixels and of 10 for 1024.

    A sample whose reward or gradient is not finite stops, keeps its best iterate so far, and has
    NaN in its trajectory from there on. The other samples are not affected.
    """

    iterations: int = 50
    """The number of forward passes, at least 1."""
    learning_rate: float = 5.0
    momentum: float = 0.9
    """For `sgd` only, like `nesterov`."""
    nesterov: bool = True
    gradient_clip: float = 0.1
    """The largest L2 norm of one sample's gradient; a longer one is shortened to it."""
    regulariser_weight: float = 0.01
    """For `mpgr`, the length of the regulariser's gradient, divided by that of the reward's."""
    optimiser: str = "sgd"
    """`sgd` or `adam`, by the rules of `torch.optim`."""
    weight_decay: float = 0.0
    """For `adam` only: above 0, it is `torch.optim.AdamW`."""
    regulariser: str = "chi"
    """`chi`, the norm's log-density; `mpgr` (see `power_penalty`); `prno` (see `concentration`);
    or `none`.
    """
    precondition: str = "none"
    """`wgn` projects each sample's gradient onto white Gaussian noise; see `white_noise`."""
    starts: int = 1
    """The number of candidates, 0 to `starts - 1`, whose best is the first iterate. If there are
    several, each costs one forward pass more.
    """

    name = "reno"

    def __post_init__(self) -> None:
        require_whole(self.name, 1, iterations=self.iterations, starts=self.starts)
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise UsageError(
                    f"{self.name}: {key} was {getattr(self, key)!r}; it must be one of"
                    f" {', '.join(choices)}"
                )
        for key in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, key) < math.inf:
                raise UsageError(
                    f"{self.name}: {key} was {getattr(self, key)}; it must be a number above 0"
                )
        for key in ("regulariser_weight", "weight_decay"):
            if not 0 <= getattr(self, key) < math.inf:
                raise UsageError(
                    f"{self.name}: {key} was {getattr(self, key)}; it must be a number of at"
                    " least 0"
                )
        if not 0 <= self.momentum < 1:
            raise UsageError(
                f"{self.name}: momentum was {self.momentum}; it must be at least 0 and below 1"
            )
        self._refuse_without_effect()

    def _refuse_without_effect(self) -> None:
        """Raise a `UsageError` for parameters that the other ones leave without effect."""
        if self.optimiser == "sgd" and self.nesterov and self.momentum == 0:
            raise UsageError(
                f"{self.name}: nesterov needs a momentum above 0; add nesterov=false, or a momentum"
                " such as 0.9"
            )
        if self.optimiser == "sgd" and self.weight_decay:
            raise UsageError(f"{self.name}: weight_decay needs optimiser=adam")
        for key in ("momentum", "nesterov"):
            if self.optimiser == "adam" and getattr(self, key) != _default(key):
                raise UsageError(
                    f"{self.name}: {key} has no effect with optimiser=adam; leave it out"
                )
        if self.regulariser == "none" and self.regulariser_weight != _default("regulariser_weight"):
            raise UsageError(
                f"{self.name}: regulariser_weight has no effect with regulariser=none; leave it out"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        # Records of ReNO are older than the added parameters, so their defaults are left out.
        settings = {
            key: value
            for key, value in asdict(self).items()
            if key not in ADDED or value != _default(key)
        }
        return {"name": self.name, **settings}

    def skip(self, generator: Generator) -> str | None:
        """A generator whose noise cannot be divided into the groups of numbers that the regulariser
        or the projection has.
        """
        size, group = math.prod(generator.noise_shape), self._group
        if size % group == 0:
            return None
        return (
            f"its noise has {size} numbers, which {self.name} cannot divide into groups of {group}"
        )

    @property
    def _group(self) -> int:
        if self.precondition == "wgn" or self._regularised == "mpgr":
            return NUMBERS
        return COLUMNS if self._regularised == "prno" else 1

    @property
    def _regularised(self) -> str:
        return self.regulariser if self.regulariser_weight else "none"

    def passes(self, steps: int) -> Passes:
        forward = self.iterations + (self.starts if self.starts > 1 else 0)
        # The last iteration has no backward pass.
        back = self.iterations - 1
        return Passes(forward * steps, back * steps, forward, back)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        best, rewards = self._ascend(Problem(tasks, generator, reward, noises))
        trajectories = rewards.tolist()
        for row, task in enumerate(tasks):
            yield Outcome(
                task,
                self.name,
                best.image[row],
                best.noise[row],
                trajectory=tuple(trajectories[row]),
            )

    def _ascend(self, problem: Problem) -> tuple[Candidates, Tensor]:
        """Return the best evaluated noise of every sample, and the rewards of all of them in order,
        `[B, evaluations]`, on the device.

        The host never waits for the device here: `torch.where` makes all choices that depend on a
        value.
        """
        noise, rewards = self._start(problem)
        # The last iterate needs no gradient, so no graph is kept for it.
        current = self._evaluated(problem, noise, differentiable=self.iterations > 1)
        moving = current.score.detach().isfinite()
        best = _seen(current, moving)
        rewards.append(best.score)
        update = self._update()
        for iteration in range(1, self.iterations):
            gradient = self._gradient(problem, current, iteration)
            moving = moving & gradient.flatten(1).isfinite().all(dim=1)
            gradient = clip_per_sample(gradient, self.gradient_clip)
            if self.precondition == "wgn":
                gradient = white(gradient)
            step = update.step(gradient, noise)
            noise = torch.where(per_sample(moving, noise), noise - self.learning_rate * step, noise)
            current = self._evaluated(
                problem, noise, differentiable=iteration + 1 < self.iterations
            )
            moving = moving & current.score.detach().isfinite()
            seen = _seen(current, moving)
            best = keep_better(best, seen)
            rewards.append(seen.score)
        return best, torch.stack(rewards, dim=1)

    def _start(self, problem: Problem) -> tuple[Tensor, list[Tensor]]:
        """The noise of the first iterate, and the rewards of the candidates that it is the best
        of.
        """
        if self.starts == 1:
            return problem.drawn(0), []
        best = problem.evaluated(problem.drawn(0))
        rewards = [best.score]
        for candidate in range(1, self.starts):
            new = problem.evaluated(problem.drawn(candidate))
            best = keep_better(best, new)
            rewards.append(new.score)
        return best.noise, rewards

    def _update(self) -> Update:
        if self.optimiser == "adam":
            return Adam(self.weight_decay)
        return SGD(self.momentum, nesterov=self.nesterov)

    def _evaluated(self, problem: Problem, noise: Tensor, *, differentiable: bool) -> Candidates:
        return problem.evaluated(noise, differentiable=differentiable)

    def _objective(self, problem: Problem, current: Candidates, iteration: int) -> Tensor:  # noqa: ARG002
        """The values `[B]` that the ascent raises, without the regulariser."""
        return current.score

    def _gradient(self, problem: Problem, current: Candidates, iteration: int) -> Tensor:
        """Return each sample's own gradient: that of the sum of all losses, because no sample's
        loss depends on another sample.
        """
        noise = current.noise
        with torch.enable_grad():
            loss = -self._objective(problem, current, iteration)
            if self._regularised == "chi":
                loss = self.regulariser_weight * norm_penalty(noise) + loss
            elif self._regularised == "prno":
                penalty = concentration_penalty(noise, problem.orders(iteration, ORDERS))
                loss = self.regulariser_weight * penalty + loss
            (gradient,) = torch.autograd.grad(loss.sum(), noise)
            if self._regularised == "mpgr":
                power = power_penalty(noise, problem.orders(iteration, 1)[:, 0])
                (towards,) = torch.autograd.grad(power.sum(), noise)
                gradient = gradient + self.regulariser_weight * as_long_as(towards, gradient)
        return gradient


def _default(key: str) -> Any:
    """The default of a parameter in ReNO itself, whose subclasses have others."""
    return next(item.default for item in fields(ReNO) if item.name == key)


def _seen(current: Candidates, moving: Tensor) -> Candidates:
    """Detach an iterate, and replace the scores of stopped samples by NaN."""
    return Candidates(
        current.noise.detach(),
        current.image.detach(),
        torch.where(moving, current.score.detach(), math.nan),
    )


def norm_penalty(noise: Tensor) -> Tensor:
    """Minus the log-density of the noise's norm, up to a constant: `||e||^2 / 2 - (d - 1) log
    ||e||`, `[B]`.

    The norm of d standard normal numbers follows a chi distribution. At sqrt(d - 1), its density is
    highest and this penalty lowest.
    """
    flat = noise.flatten(1)
    norm = torch.linalg.vector_norm(flat, dim=1)
    penalty: Tensor = 0.5 * norm.square() - (flat.shape[1] - 1) * norm.log()
    return penalty


def clip_per_sample(gradient: Tensor, limit: float) -> Tensor:
    """Each sample's gradient, shortened to an L2 norm of `limit` if it is longer, as by
    `torch.nn.utils.clip_grad_norm_` for a single sample.
    """
    norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    # 1e-6 is the constant of `clip_grad_norm_`, so that both give the same numbers.
    return gradient * per_sample((limit / (norm + 1e-6)).clamp(max=1.0), gradient)


def as_long_as(vectors: Tensor, others: Tensor) -> Tensor:
    """Each sample of `[B, *shape]`, with the L2 norm that it has in `others`. Zeros stay zero."""
    own, wanted = (torch.linalg.vector_norm(one.flatten(1), dim=1) for one in (vectors, others))
    scale = torch.where(own > 0, wanted / own, torch.zeros_like(own))
    return vectors * per_sample(scale, vectors)
