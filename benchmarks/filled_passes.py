"""How much faster best-of-N is for one sample when its candidates share passes, on the shapes
world.

    python benchmarks/filled_passes.py --candidates 16 --images-at-once 16 --repeats 5

Both ways search the same candidates of the same samples, one sample after the other, in alternating
order after a warm-up: one candidate a pass, or `--images-at-once` of them, as a run does it when it
has fewer tasks than its batch size. The result is the ratio of the times: its median over the
repeats, its smallest and its largest.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.batching import PROMPTS, seconds_of
from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.registry import GENERATORS, REWARDS
from hnbench.methods.best_of_n import BestOfN
from hnbench.rewards.base import Mixture, Reward
from hnbench.tasks import Task

if TYPE_CHECKING:
    from hnbench.generators.base import Generator


def measure(
    generator: Generator, reward: Reward, candidates: int, images_at_once: int, repeats: int
) -> dict[str, Any]:
    """The ratios of the times of both ways, as JSON types."""
    batches = [[Task(prompt, prompt, 0)] for prompt in PROMPTS]
    rooms = (1, images_at_once)
    seconds: dict[int, list[float]] = {room: [] for room in rooms}
    for repeat in range(-1, repeats):
        for room in sorted(rooms, reverse=repeat % 2 == 1):
            generator.images_at_once = room
            taken = seconds_of(BestOfN(n=candidates), batches, generator, reward)
            if repeat >= 0:
                seconds[room].append(taken)
    ratios = [one / other for one, other in zip(*seconds.values(), strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def main() -> None:
    """Load the shapes world, measure and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--images-at-once", type=int, default=16, help="at least 2")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    generator = GENERATORS.get("shapes")(device=chosen.device, dtype="float32")
    reward = Mixture(
        {
            name: (REWARDS.get(name)(device=chosen.device, dtype="float32"), weight)
            for name, weight in preset_of("shapes").optimised.items()
        }
    )
    found = measure(generator, reward, chosen.candidates, chosen.images_at_once, chosen.repeats)
    print(
        json.dumps(
            {
                **vars(chosen),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "speed_up": found,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
