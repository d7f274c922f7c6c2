"""Train an offset: `python -m hnbench_example.training offset.safetensors`, seconds on a CPU."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hnbench.hypernetwork.seen import prompt_hashes
from hnbench.metering import Meter, MeteredGenerator, MeteredReward
from hnbench.methods.base import conditioning_of, starting_noise
from hnbench.methods.training import Training
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench_example.adapter import Adapter, write_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.generators.base import Generator
    from hnbench.rewards.base import Reward

BATCH = 4
PROMPTS = ("a red circle", "a blue square", "two green triangles", "a yellow star")


def train(
    generator: Generator,
    reward: Reward,
    prompts: Sequence[str],
    *,
    steps: int = 20,
    learning_rate: float = 0.1,
) -> Adapter:
    """Raise the mean reward over prompts and noises by Adam, with a penalty on the offset's length.

    hnbench's own meter counts the passes, so that a report can compare the cost of the training
    with what the method saves per image.
    """
    started, meter = time.perf_counter(), Meter()
    model, judge = MeteredGenerator(generator, meter), MeteredReward(reward, meter)
    noises = NoiseSource(0, generator.noise_shape)
    offset = torch.zeros(generator.noise_shape, device=generator.device, requires_grad=True)
    optimiser = torch.optim.Adam([offset], lr=learning_rate)
    for step in range(steps):
        chosen = [prompts[(step * BATCH + place) % len(prompts)] for place in range(BATCH)]
        tasks = [Task(text, text, step) for text in chosen]
        noise = starting_noise(model, noises, tasks) + offset
        images = model.generate(noise, conditioning_of(model, noises, tasks))
        loss = 0.01 * offset.square().sum() / 2 - judge.score(images, chosen).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    training = Training(
        kind="offset",
        **asdict(meter),
        seconds=time.perf_counter() - started,
        steps=steps,
        images=steps * BATCH,
        device=str(generator.device),
        seen=prompt_hashes(prompts),
    )
    return Adapter(offset.detach().float().cpu(), generator.fingerprint, training)


def main() -> None:
    """Train an offset for the shapes generator and the reward `greenness`, and write it."""
    from hnbench.shapes.models import load_generator
    from hnbench_example.greenness import Greenness

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="the file to write")
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    generator = load_generator(device="cpu", dtype="float32")
    write_adapter(given.path, train(generator, Greenness(), PROMPTS, steps=given.steps))


if __name__ == "__main__":
    main()
