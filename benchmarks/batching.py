"""The speed-up of ReNO and best-of-N in a batch over one sample at a time, on the shapes world.

    python benchmarks/batching.py --batch-size 16 --iterations 8 --repeats 5

After a warm-up, both ways do the same work on the same samples in alternating order, in one
process. Each repeat ends with a line on stderr. The result is the ratio of samples per second,
batched over one at a time: the median, the smallest and the largest of the repeats. The defaults
(which the command above spells out) take a little over a minute on two cores.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.registry import GENERATORS, REWARDS
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method

PROMPTS = (
    "a photo of a red circle",
    "a photo of a circle and a square",
    "a photo of three stars",
    "a photo of a square left of a triangle",
    "a photo of a blue star and a green circle",
)


def seconds_of(
    method: Method, batches: Sequence[Sequence[Task]], generator: Generator, reward: Reward
) -> float:
    """The wall-clock seconds of the method for all batches, one after the other."""
    noises = NoiseSource(0, generator.noise_shape)
    started = time.perf_counter()
    for batch in batches:
        for _ in method.propose(batch, generator, reward, noises):
            pass
    if generator.device.type == "cuda":
        torch.cuda.synchronize(generator.device)
    return time.perf_counter() - started


def measure(
    method: Method, tasks: Sequence[Task], generator: Generator, reward: Reward, repeats: int
) -> dict[str, Any]:
    """Time one method both ways `repeats` times, in alternating order after a warm-up of each. Each
    repeat ends with a line on stderr.
    """
    # Lines are printed between the timings. A progress bar would be drawn while the models run.
    console = Console(stderr=True, highlight=False)
    ways: dict[str, Sequence[Sequence[Task]]] = {
        "batched": [tasks],
        "single": [[task] for task in tasks],
    }
    for batches in ways.values():
        seconds_of(method, batches[:1], generator, reward)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in sorted(ways, reverse=repeat % 2 == 1):
            seconds[way].append(seconds_of(method, ways[way], generator, reward))
        batched, single = (seconds[way][-1] for way in ("batched", "single"))
        console.print(
            f"{method.name}, repeat {repeat + 1} of {repeats}: batched {batched:.1f} s, one at a"
            f" time {single:.1f} s"
        )
    ratios = [
        single / batched
        for single, batched in zip(seconds["single"], seconds["batched"], strict=True)
    ]
    return {
        "speed_up": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
        "samples_per_second": {
            way: len(tasks) / statistics.median(taken) for way, taken in seconds.items()
        },
    }


def main() -> None:
    """Load the shapes world, measure both methods and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--iterations", type=int, default=8, help="ReNO's iterations and best-of-N's candidates"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()

    generator = GENERATORS.get("shapes")(device=chosen.device, dtype="float32")
    optimised = preset_of("shapes").optimised.items()
    reward = Mixture(
        {
            name: (REWARDS.get(name)(device=chosen.device, dtype="float32"), weight)
            for name, weight in optimised
        }
    )
    prompts = [PROMPTS[place % len(PROMPTS)] for place in range(chosen.batch_size)]
    tasks = [Task(prompt, prompt, place) for place, prompt in enumerate(prompts)]
    methods: list[Method] = [ReNO(iterations=chosen.iterations), BestOfN(n=chosen.iterations)]
    result = {
        **vars(chosen),
        "device_name": (
            torch.cuda.get_device_name()
            if chosen.device.startswith("cuda")
            else platform.processor() or platform.machine()
        ),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "methods": {
            method.name: measure(method, tasks, generator, reward, chosen.repeats)
            for method in methods
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
