"""Best-of-N for one sample at a time over the published loop, on the shapes world.

    python -m benchmarks.best_of_n --candidates 16 --images-at-once 16 --repeats 5

The published loop generates and scores one candidate at a time, and encodes the prompt for each of
them, for the generator and for the reward. `text kept` is the same loop with the prompt encoded
only once. Ours fills its passes with candidates of the one sample, as in a run that has fewer tasks
than its batch size. All ways search the same candidates of the same five prompts, in alternating
order. `over` is the ratio of samples per second, ours over theirs: the median, the smallest and the
largest of the repeats; 3 is the target, without the help of the text (`text kept`). `apart` is the
largest relative difference of a reward. The defaults (which the command above spells out) take a
minute on two cores.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks import shapes_models
from benchmarks.pairs import machine, options
from benchmarks.published.comparison import Rewards, compare
from benchmarks.published.loops import best_of_n
from benchmarks.published.models import ClipScore, Pipeline
from hnbench.methods.best_of_n import BestOfN
from hnbench.seeds import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Callable


def measure(device: str, candidates: int, images_at_once: int, repeats: int) -> dict[str, Any]:
    """The comparison as JSON types."""
    generator, reward = shapes_models.load(device)
    generator.images_at_once = images_at_once
    tasks = shapes_models.tasks(len(shapes_models.PROMPTS))
    noises, method = NoiseSource(0, generator.noise_shape), BestOfN(n=candidates)

    def ours() -> Rewards:
        outcomes = [list(method.propose([task], generator, reward, noises))[-1] for task in tasks]
        return [outcome.trajectory or () for outcome in outcomes]

    def published(*, text_kept: bool) -> Callable[[], Rewards]:
        generate = Pipeline(generator, text_kept=text_kept)
        score = ClipScore(*reward.parts[shapes_models.REWARD], text_kept=text_kept)
        return lambda: [
            best_of_n(
                generate,
                score,
                (noises.batch([task], number).to(device) for number in range(candidates)),
                task.prompt,
            ).rewards
            for task in tasks
        ]

    return compare(
        ours,
        {"published": published(text_kept=False), "text kept": published(text_kept=True)},
        samples=len(tasks),
        repeats=repeats,
        title="best-of-n",
        device=generator.device,
    )


def main() -> None:
    """Measure and print the result as JSON."""
    parser = options(__doc__)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--images-at-once", type=int, default=16)
    chosen = parser.parse_args()
    print(
        json.dumps({**vars(chosen), **machine(chosen.device), **measure(**vars(chosen))}, indent=2)
    )


if __name__ == "__main__":
    main()
