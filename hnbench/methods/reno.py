"""ReNO: gradient ascent on the starting noise, through the generator and the rewards.

Eyring et al., "ReNO: Enhancing One-step Text-to-Image Models through Reward-based Noise
Optimization", arXiv 2406.04312. The loss and the defaults are those of the published code. Batches
are our addition: every sum, norm and clip is per sample, so that a batch of B gives the same as B
single runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning, Generator
from hnbench.guards.answers import as_scores
from hnbench.methods.base import Method, Outcome, Passes, conditioning_of, starting_noise
from hnbench.methods.candidates import Candidates, keep_better, per_sample
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class ReNO(Method):
    """Minimise `-reward(g(e)) + regulariser_weight * norm_penalty(e)` over the noise `e` of each
    sample, by SGD.

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
    nesterov: bool = True
    gradient_clip: float = 0.1
    """The largest L2 norm of one sample's gradient; a longer one is shortened to it."""
    regulariser_weight: float = 0.01

    name = "reno"

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise UsageError(
                f"reno: iterations was {self.iterations!r}; it must be a whole number of at least 1"
            )
        for name, value in (
            ("learning_rate", self.learning_rate),
            ("gradient_clip", self.gradient_clip),
        ):
            if not 0 < value < math.inf:
                raise UsageError(f"reno: {name} was {value}; it must be a number above 0")
        if not 0 <= self.regulariser_weight < math.inf:
            raise UsageError(
                f"reno: regulariser_weight was {self.regulariser_weight}; it must be a number of at"
                " least 0"
            )
        if not 0 <= self.momentum < 1:
            raise UsageError(
                f"reno: momentum was {self.momentum}; it must be at least 0 and below 1"
            )
        if self.nesterov and self.momentum == 0:
            raise UsageError(
                "reno: nesterov needs a momentum above 0; add nesterov=false, or a momentum such"
                " as 0.9"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    def passes(self, steps: int) -> Passes:
        # The last iteration has no backward pass.
        return Passes(
            self.iterations * steps,
            (self.iterations - 1) * steps,
            self.iterations,
            self.iterations - 1,
        )

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        noise = starting_noise(generator, noises, tasks)
        conditioning = conditioning_of(generator, noises, tasks)
        best, rewards = self._ascend(
            [task.prompt for task in tasks], noise, conditioning, generator, reward
        )
        trajectories = rewards.tolist()
        for row, task in enumerate(tasks):
            yield Outcome(
                task,
                self.name,
                best.image[row],
                best.noise[row],
                trajectory=tuple(trajectories[row]),
            )

    def _ascend(
        self,
        prompts: Sequence[str],
        noise: Tensor,
        conditioning: Conditioning,
        generator: Generator,
        reward: Reward,
    ) -> tuple[Candidates, Tensor]:
        """Return the best iterate of every sample, and the rewards of all iterates `[B,
        iterations]`, on the device.

        The host never waits for the device here: `torch.where` makes all choices that depend on a
        value.
        """

        def evaluate(noise: Tensor, *, differentiable: bool) -> Candidates:
            with torch.set_grad_enabled(differentiable):
                iterate = noise.detach().requires_grad_(differentiable)
                image = generator.generate(iterate, conditioning)
                scores = as_scores(
                    f"the reward {reward.name}",
                    reward.score(image, prompts),
                    len(prompts),
                    differentiable=differentiable,
                )
                return Candidates(iterate, image, scores)

        # The last iterate needs no gradient, so no graph is kept for it.
        current = evaluate(noise, differentiable=self.iterations > 1)
        moving = current.score.detach().isfinite()
        best = _seen(current, moving)
        rewards = [best.score]
        velocity = torch.zeros_like(noise)
        for iteration in range(1, self.iterations):
            gradient = self._gradient(current)
            moving = moving & gradient.flatten(1).isfinite().all(dim=1)
            velocity, step = self._step(clip_per_sample(gradient, self.gradient_clip), velocity)
            noise = torch.where(per_sample(moving, noise), noise - self.learning_rate * step, noise)
            current = evaluate(noise, differentiable=iteration + 1 < self.iterations)
            moving = moving & current.score.detach().isfinite()
            seen = _seen(current, moving)
            best = keep_better(best, seen)
            rewards.append(seen.score)
        return best, torch.stack(rewards, dim=1)

    def _gradient(self, current: Candidates) -> Tensor:
        """Return each sample's own gradient: that of the sum of all losses, because no sample's
        loss depends on another sample.
        """
        with torch.enable_grad():
            loss = (self.regulariser_weight * norm_penalty(current.noise) - current.score).sum()
        (gradient,) = torch.autograd.grad(loss, current.noise)
        return gradient

    def _step(self, gradient: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new velocity and the step to subtract, by the rule of `torch.optim.SGD`."""
        velocity = self.momentum * velocity + gradient
        return velocity, gradient + self.momentum * velocity if self.nesterov else velocity


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
