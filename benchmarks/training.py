"""Our training of a hypernetwork over the published training step, on the shapes world.

    python -m benchmarks.training --batch-size 32 --accumulation 1 --steps 8 --repeats 5

Both train an adapter from the same first weights on the same prompts and noises, in alternating
order, with SGD. Only the optimizer steps are timed, as both report them: no evaluation and no
saving. The published step encodes its prompts in every step; with `text kept` it does so once.
`over` is the ratio of images per second, ours over theirs: the median, the smallest and the largest
of the repeats; 1.5 is the target. Both do the same floating-point operations except for the text,
so the ratio cannot be far from 1 in large batches. `apart` is the largest relative difference of a
step's loss. The defaults (which the command above spells out) take a minute on two cores.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import shapes_models
from benchmarks.pairs import alternating, machine, options, ratios, spread, timed
from benchmarks.published.models import ClipScore, Pipeline
from benchmarks.published.trainer import NoiseTrainer
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.draws import Draws
from hnbench.hypernetwork.evaluation import split_prompts
from hnbench.hypernetwork.trainer import Trainer

PROMPTS = [
    f"a photo of a {colour} {shape}"
    for colour in ("red", "blue", "green", "yellow")
    for shape in ("circle", "square", "triangle", "star", "heart")
]
WARM_UP = 2
"""The steps before the timed ones, on both sides."""


def configuration(batch_size: int, accumulation: int, steps: int) -> TrainingConfig:
    """A training by SGD with the least possible evaluation."""
    return TrainingConfig(
        kind="hypernoise",
        generator="shapes",
        rewards={shapes_models.REWARD: shapes_models.WEIGHT},
        prompts="benchmark",
        steps=steps,
        batch_size=batch_size,
        accumulation=accumulation,
        rank=8,
        lora_alpha=8.0,
        eval_every=steps,
        eval_prompts=1,
        eval_samples=1,
        save_every=steps,
    )


def train_ours(config: TrainingConfig, device: str) -> tuple[float, list[float]]:
    """The seconds of the steps after the warm-up, as the training counts them, and the mean loss of
    every step.
    """
    generator, reward = shapes_models.load(device)
    stepped: list[dict[str, Any]] = []

    class Noting:
        def started(self, step: int, total: int) -> None: ...

        def stepped(self, record: Any) -> None:
            if record["step"]:
                stepped.append(dict(record))

    with tempfile.TemporaryDirectory() as folder:
        Trainer(config, generator, reward, PROMPTS, Path(folder) / "training").train(Noting())
    seconds = stepped[-1]["seconds"] - stepped[WARM_UP - 1]["seconds"]
    return seconds, [record["loss"] for record in stepped]


def train_published(
    config: TrainingConfig, device: str, *, text_kept: bool
) -> tuple[float, list[float]]:
    """The same of the published step."""
    generator, reward = shapes_models.load(device)
    settings = LoraSettings(config.rank, config.lora_alpha, seed=config.seed)
    trainer = NoiseTrainer(
        Pipeline(generator, text_kept=text_kept),
        ClipScore(*reward.parts[shapes_models.REWARD], text_kept=text_kept),
        config,
        generator.last_layer,
        LoraAdapter(generator.backbone, settings).state_dict(),
    )
    draws = Draws(config, split_prompts(PROMPTS, config.seed)[0], tuple(generator.noise_shape))
    losses: list[float] = []

    def work(steps: Sequence[int]) -> None:
        for step in steps:
            batches = [
                (draws.prompts(step, micro), draws.noise(step, micro).to(device))
                for micro in range(config.accumulation)
            ]
            found = trainer.step(batches)
            losses.append(sum(found) / len(found))

    work(range(WARM_UP))
    seconds = timed(lambda: work(range(WARM_UP, config.steps)), torch.device(device)).seconds
    return seconds, losses


def measure(
    device: str, batch_size: int, accumulation: int, steps: int, repeats: int
) -> dict[str, Any]:
    """The comparison as JSON types."""
    config = configuration(batch_size, accumulation, WARM_UP + steps)
    ways = {
        "ours": lambda: train_ours(config, device),
        "published": lambda: train_published(config, device, text_kept=False),
        "text kept": lambda: train_published(config, device, text_kept=True),
    }
    losses = {}

    def seconds_of(way: str) -> float:
        seconds, losses[way] = ways[way]()
        return seconds

    found = alternating(
        {way: lambda way=way: seconds_of(way) for way in ways},  # type: ignore[misc]
        repeats,
        "training",
    )
    images = steps * batch_size * accumulation
    published = [way for way in ways if way != "ours"]
    return {
        "over": {way: ratios(found[way], found["ours"]) for way in published},
        "samples_per_second": {
            way: images / spread(seconds)["median"] for way, seconds in found.items()
        },
        "apart": {
            way: max(
                abs(one - other) / abs(one)
                for one, other in zip(losses["ours"], losses[way], strict=True)
            )
            for way in published
        },
    }


def main() -> None:
    """Measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    chosen = parser.parse_args()
    print(
        json.dumps({**vars(chosen), **machine(chosen.device), **measure(**vars(chosen))}, indent=2)
    )


if __name__ == "__main__":
    main()
