"""ReNO and best-of-N as published: one image at a time.

Eyring et al., arXiv 2406.04312. In every iteration the host reads the reward, to compare it with
the best one. diffusers 0.30, which the published code names, does not checkpoint gradients while
the network is in evaluation mode, so nothing is recomputed here either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hnbench.methods.reno import ReNO

Generate = Callable[[Tensor, Sequence[str]], Tensor]
"""(latents `[1, ...]`, one prompt) -> images `[1, 3, H, W]`."""
Score = Callable[[Tensor, Sequence[str]], Tensor]
"""(images `[1, 3, H, W]`, one prompt) -> scores `[1]`, higher is better."""


@dataclass(frozen=True)
class Found:
    """The best image `[1, 3, H, W]`, and the reward of every iteration or candidate."""

    image: Tensor
    rewards: tuple[float, ...]


def reno(generate: Generate, score: Score, noise: Tensor, prompt: str, settings: ReNO) -> Found:
    """Ascend from one noise `[1, ...]`."""
    latents = nn.Parameter(noise.clone())
    optimizer = torch.optim.SGD(
        [latents],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
    )
    best, best_image, rewards = math.inf, noise, []
    size = noise[0].numel()
    for iteration in range(settings.iterations):
        optimizer.zero_grad()
        image = generate(latents, [prompt])
        loss = -score(image, [prompt]).mean()
        rewards.append(-loss.item())
        if loss.item() < best:
            best, best_image = loss.item(), image.detach().clone()
        if iteration + 1 < settings.iterations:
            norm = torch.linalg.vector_norm(latents)
            penalty = 0.5 * norm**2 - (size - 1) * torch.log(norm)
            (loss + settings.regulariser_weight * penalty).backward()
            nn.utils.clip_grad_norm_([latents], settings.gradient_clip)
            optimizer.step()
    return Found(best_image, tuple(rewards))


@torch.no_grad()
def best_of_n(generate: Generate, score: Score, noises: Iterable[Tensor], prompt: str) -> Found:
    """Choose among candidates, the noises `[1, ...]`, one after the other."""
    best, best_image, rewards = math.inf, torch.empty(0), []
    for noise in noises:
        image = generate(noise, [prompt])
        loss = -score(image, [prompt]).mean()
        rewards.append(-loss.item())
        if loss.item() < best:
            best, best_image = loss.item(), image.clone()
    return Found(best_image, tuple(rewards))
