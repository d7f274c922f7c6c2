"""ReNO in a batch over the published loop, on the shapes world.

    python -m benchmarks.reno --batch-size 16 --iterations 12 --repeats 5

The published loop optimises one image at a time, and encodes the prompt in every iteration, for the
generator and for the reward. `text kept` is the same loop with each prompt encoded only once. All
ways optimise the same samples from the same noises, in alternating order. `over` is the ratio of
samples per second, ours over theirs: the median, the smallest and the largest of the repeats; 5 on
two cores is the target for `published`. `apart` is the largest relative difference of a reward
among the first three iterations, before rounding makes some samples take another way. The defaults
(which the command above spells out) take two minutes on two cores.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks import shapes_models
from benchmarks.pairs import machine, options
from benchmarks.published.comparison import Rewards, compare
from benchmarks.published.loops import reno
from benchmarks.published.models import ClipScore, Pipeline
from hnbench.methods.reno import ReNO
from hnbench.seeds import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Callable

ALIKE = 3
"""The iterations in which both ways still have the same rewards."""


def measure(device: str, batch_size: int, iterations: int, repeats: int) -> dict[str, Any]:
    """The comparison as JSON types."""
    generator, reward = shapes_models.load(device)
    tasks = shapes_models.tasks(batch_size)
    noises, settings = NoiseSource(0, generator.noise_shape), ReNO(iterations=iterations)

    def ours() -> Rewards:
        outcomes = settings.propose(tasks, generator, reward, noises)
        return [outcome.trajectory or () for outcome in outcomes]

    def published(*, text_kept: bool) -> Callable[[], Rewards]:
        generate = Pipeline(generator, text_kept=text_kept)
        score = ClipScore(*reward.parts[shapes_models.REWARD], text_kept=text_kept)
        return lambda: [
            reno(generate, score, noises.batch([task]).to(device), task.prompt, settings).rewards
            for task in tasks
        ]

    return compare(
        ours,
        {"published": published(text_kept=False), "text kept": published(text_kept=True)},
        samples=batch_size,
        repeats=repeats,
        title="reno",
        device=generator.device,
        first=ALIKE,
    )


def main() -> None:
    """Measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=12)
    chosen = parser.parse_args()
    print(
        json.dumps({**vars(chosen), **machine(chosen.device), **measure(**vars(chosen))}, indent=2)
    )


if __name__ == "__main__":
    main()
