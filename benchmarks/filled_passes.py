"""How much faster best-of-N is for one sample when its candidates share passes, on the shapes
world.

    python -m benchmarks.filled_passes --candidates 16 --images-at-once 16 --repeats 5

Both ways search the same candidates of the same samples, one sample after the other, in alternating
order after a warm-up: one candidate a pass, or `--images-at-once` of them, as a run does it when it
has fewer tasks than its batch size. The result is the ratio of the times: its median over the
repeats, its smallest and its largest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import shapes_models
from benchmarks.batching import seconds_of
from benchmarks.pairs import alternating, machine, options, ratios
from hnbench.methods.best_of_n import BestOfN
from hnbench.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from hnbench.generators.base import Generator
    from hnbench.rewards.base import Reward


def measure(
    generator: Generator, reward: Reward, candidates: int, images_at_once: int, repeats: int
) -> dict[str, float]:
    """The ratios of the times of both ways, as JSON types."""
    batches = [[Task(prompt, prompt, 0)] for prompt in shapes_models.PROMPTS]

    def search(room: int) -> float:
        generator.images_at_once = room
        return seconds_of(BestOfN(n=candidates), batches, generator, reward)

    ways: dict[str, Callable[[], float]] = {
        "filled": lambda: search(images_at_once),
        "one": lambda: search(1),
    }
    for way in ways.values():
        way()
    seconds = alternating(ways, repeats, "best-of-n")
    return ratios(seconds["one"], seconds["filled"])


def main() -> None:
    """Load the shapes world, measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--images-at-once", type=int, default=16, help="at least 2")
    chosen = parser.parse_args()
    generator, reward = shapes_models.load(chosen.device)
    found = measure(generator, reward, chosen.candidates, chosen.images_at_once, chosen.repeats)
    print(json.dumps({**vars(chosen), **machine(chosen.device), "speed_up": found}, indent=2))


if __name__ == "__main__":
    main()
