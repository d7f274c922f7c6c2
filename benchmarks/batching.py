"""The speed-up of ReNO and best-of-N in a batch over one sample at a time, on the shapes world.

    python -m benchmarks.batching --batch-size 16 --iterations 8 --repeats 5

After a warm-up, both ways do the same work on the same samples in alternating order, in one
process. Each repeat ends with a line on stderr. The result is the ratio of samples per second,
batched over one at a time: the median, the smallest and the largest of the repeats. The defaults
(which the command above spells out) take a little over a minute on two cores.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks import shapes_models
from benchmarks.pairs import alternating, machine, options, ratios, spread, timed
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.reno import ReNO
from hnbench.seeds import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.rewards.base import Reward
    from hnbench.tasks import Task


def seconds_of(
    method: Method, batches: Sequence[Sequence[Task]], generator: Generator, reward: Reward
) -> float:
    """The wall-clock seconds of the method for all batches, one after the other."""
    noises = NoiseSource(0, generator.noise_shape)

    def work() -> None:
        for batch in batches:
            for _ in method.propose(batch, generator, reward, noises):
                pass

    return timed(work, generator.device).seconds


def measure(
    method: Method, tasks: Sequence[Task], generator: Generator, reward: Reward, repeats: int
) -> dict[str, Any]:
    """Time one method both ways `repeats` times, in alternating order after a warm-up of each."""
    single = [[task] for task in tasks]
    for first in ([tasks], single[:1]):
        seconds_of(method, first, generator, reward)
    seconds = alternating(
        {
            "batched": lambda: seconds_of(method, [tasks], generator, reward),
            "single": lambda: seconds_of(method, single, generator, reward),
        },
        repeats,
        method.name,
    )
    return {
        "speed_up": ratios(seconds["single"], seconds["batched"]),
        "samples_per_second": {
            way: len(tasks) / spread(taken)["median"] for way, taken in seconds.items()
        },
    }


def main() -> None:
    """Load the shapes world, measure both methods and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--iterations", type=int, default=8, help="ReNO's iterations and best-of-N's candidates"
    )
    chosen = parser.parse_args()
    generator, reward = shapes_models.load(chosen.device)
    tasks = shapes_models.tasks(chosen.batch_size)
    methods: list[Method] = [ReNO(iterations=chosen.iterations), BestOfN(n=chosen.iterations)]
    result = {
        **vars(chosen),
        **machine(chosen.device),
        "methods": {
            method.name: measure(method, tasks, generator, reward, chosen.repeats)
            for method in methods
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
