"""Stage 5: the generator, which makes the teacher's trajectories in one step.

The teacher's guided ODE maps every noise to an image. Its ends are computed once for many pairs of
noise and caption. The one-step generator begins with the teacher's weights and is regressed onto
these ends (Luhman & Luhman, arXiv 2101.02388; the pairs of Liu et al., arXiv 2209.03003). So the
teacher alone decides which image belongs to a noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnbench.shapes_training.denoiser import SHAPE, Denoiser
from hnbench.shapes_training.examples import Examples
from hnbench.shapes_training.flow import SHARES, sample
from hnbench.shapes_training.loop import LossLog, minimise

STEPS, GUIDED = 4, 3
"""The steps of the trajectories, and the number of guided ones. They need about half the passes of
8 and 5, and the score is hardly lower.
"""


@dataclass(frozen=True)
class Pairs:
    """Noises and the ends of their trajectories, float16 `[N, 16, 8, 8]`, and their captions."""

    noises: Tensor
    ends: Tensor
    texts: list[str]


def follow(teacher: Denoiser, count: int, seed: int, *, batch_size: int = 50) -> Pairs:
    """`count` trajectories of new noises under random captions; `count` is a multiple of
    `batch_size`.
    """
    examples, generator, log = (
        Examples(seed, SHARES),
        torch.Generator().manual_seed(seed),
        LossLog(20, count // batch_size),
    )
    noises, ends, texts = list[Tensor](), list[Tensor](), list[str]()
    for index in range(count // batch_size):
        chosen = [examples.caption().text for _ in range(batch_size)]
        noise = torch.randn((batch_size, *SHAPE), generator=generator).half()
        ends.append(sample(teacher, noise.float(), chosen, steps=STEPS, guided=GUIDED).half())
        noises.append(noise)
        texts += chosen
        log(index)
    return Pairs(torch.cat(noises), torch.cat(ends), texts)


def pseudo_huber(error: Tensor, target: Tensor) -> Tensor:
    """The mean of sqrt(e^2 + 0.01) - 0.1, for `error` and `target` `[B, C, h, w]`. Places with an
    object, whose latents are far from zero, count three times.
    """
    busy = 1 + 2 * (target.abs().amax(1, keepdim=True) > 2).float()
    return (busy * ((error.square() + 0.01).sqrt() - 0.1)).mean()


def distil(
    model: Denoiser,
    pairs: Pairs,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> None:
    """Train the model in place to predict the ends from the noises, at t = 1. It begins with the
    teacher's weights; the averaged weights remain.
    """
    choices = torch.Generator().manual_seed(seed)
    ids = model.tokens(pairs.texts)
    ones = torch.ones(batch_size, device=model.device)

    def next_loss() -> tuple[Tensor, dict[str, float]]:
        rows = torch.randint(len(pairs.texts), (batch_size,), generator=choices)
        noise, ends = (part[rows].float().to(model.device) for part in (pairs.noises, pairs.ends))
        error = model(noise, ones, ids[rows]) - ends
        loss = pseudo_huber(error, ends)
        return loss, {"loss": float(loss.detach()), "mse": float(error.detach().square().mean())}

    minimise(model, next_loss, steps=steps, learning_rate=learning_rate)
