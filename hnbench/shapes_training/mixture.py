"""Measures the weights of the optimised mixture: `python -m hnbench.shapes_training.mixture`.

A weight is one over the reward's standard deviation among the generator's images of one caption. So
no part decides alone which of the images is best.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from hnbench.shapes.captions import training_prompts
from hnbench.shapes.models import load_generator, load_preference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.generators.stable_diffusion import StableDiffusionGenerator
    from hnbench.rewards.base import Reward

PROMPTS = 84
SAMPLES = 16
"""Training prompts that are drawn, and images of each."""


@torch.no_grad()
def spread(
    generator: StableDiffusionGenerator, rewards: Sequence[Reward], prompts: Sequence[str]
) -> dict[str, float]:
    """Reward -> the root of its mean variance among `SAMPLES` images of one prompt."""
    noises = torch.Generator().manual_seed(71)
    variances: dict[str, list[float]] = {reward.name: [] for reward in rewards}
    for prompt in prompts:
        texts = [prompt] * SAMPLES
        noise = torch.randn((SAMPLES, *generator.noise_shape), generator=noises)
        images = generator.generate(noise, generator.encode(texts))
        for reward in rewards:
            variances[reward.name].append(float(reward.score(images, texts).var()))
    return {name: (sum(found) / len(found)) ** 0.5 for name, found in variances.items()}


def main() -> None:
    """Print each reward's standard deviation and its weight."""
    parts = load_preference(device="cpu", dtype="float32").parts
    rewards = [reward for reward, _ in parts.values()]
    deviations = spread(
        load_generator(device="cpu", dtype="float32"), rewards, training_prompts()[:PROMPTS]
    )
    found = {
        name: {"sd": value, "weight": float(f"{1 / value:.2g}")}
        for name, value in deviations.items()
    }
    print(json.dumps(found, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
