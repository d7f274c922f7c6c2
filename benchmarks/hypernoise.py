"""HyperNoise's seconds over those of random noise, on the shapes world.

    python -m benchmarks.hypernoise --batch-size 32 --batches 4 --repeats 5

Both make images of the same prompts from the same starting noises, in alternating order after a
warm-up; HyperNoise has one more pass of the backbone. `over_random` is the ratio of the times, the
median, the smallest and the largest of the repeats; at most 1.6 is the target. `displacement` is
the mean length of the change of the noise, which shows that there is one. The defaults (which the
command above spells out) take half a minute on two cores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks import shapes_models
from benchmarks.batching import seconds_of
from benchmarks.pairs import alternating, machine, options, ratios, spread
from hnbench.catalogue.presets import preset_of
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.random import Random
from hnbench.seeds import NoiseSource

if TYPE_CHECKING:
    from hnbench.methods.base import Method


def measure(device: str, batch_size: int, batches: int, repeats: int) -> dict[str, Any]:
    """The ratio and the rates as JSON types."""
    generator, reward = shapes_models.load(device)
    tasks = shapes_models.tasks(batch_size)
    methods: dict[str, Method] = {
        "hypernoise": HyperNoise(adapter=Path(preset_of("shapes").adapters["hypernoise"])),
        "random": Random(),
    }
    noises = NoiseSource(0, generator.noise_shape)
    first, second = (
        torch.stack([made.noise for made in method.propose(tasks, generator, reward, noises)])
        for method in methods.values()
    )
    seconds = alternating(
        {
            name: lambda method=method: seconds_of(method, [tasks] * batches, generator, reward)  # type: ignore[misc]
            for name, method in methods.items()
        },
        repeats,
        "hypernoise and random",
    )
    return {
        "over_random": ratios(seconds["hypernoise"], seconds["random"]),
        "samples_per_second": {
            name: batch_size * batches / spread(taken)["median"] for name, taken in seconds.items()
        },
        "displacement": float((first - second).flatten(1).norm(dim=1).mean()),
    }


def main() -> None:
    """Measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=4)
    chosen = parser.parse_args()
    print(
        json.dumps({**vars(chosen), **machine(chosen.device), **measure(**vars(chosen))}, indent=2)
    )


if __name__ == "__main__":
    main()
