"""hnbench's way and the published one on the same samples: checked to compute the same, then
timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from benchmarks.pairs import alternating, ratios, spread, timed

Rewards = Sequence[Sequence[float]]
"""For each sample, the rewards of its iterations, candidates or steps."""


def compare(
    ours: Callable[[], Rewards],
    published: Mapping[str, Callable[[], Rewards]],
    *,
    samples: int,
    repeats: int,
    title: str,
    device: torch.device,
    first: int | None = None,
) -> dict[str, Any]:
    """The spread of each published way's seconds over ours, and the samples a second of all.

    Before, each way runs once, which warms it up and checks it: `apart` is the largest difference
    of a reward, relative to the reward, among the `first` of each sample (None: all). It is a
    `ValueError` if a way has another number of samples or rewards.
    """
    expected = ours()
    apart = {name: _apart(expected, way(), first) for name, way in published.items()}
    ways = {"ours": ours, **published}
    seconds = alternating(
        {name: lambda way=way: timed(way, device).seconds for name, way in ways.items()},  # type: ignore[misc]
        repeats,
        title,
    )
    return {
        "over": {name: ratios(seconds[name], seconds["ours"]) for name in published},
        "samples_per_second": {
            name: samples / spread(taken)["median"] for name, taken in seconds.items()
        },
        "apart": apart,
    }


def _apart(expected: Rewards, found: Rewards, first: int | None) -> float:
    pairs = [
        (one, other)
        for ours, theirs in zip(expected, found, strict=True)
        for one, other in list(zip(ours, theirs, strict=True))[:first]
    ]
    return max(abs(one - other) / max(abs(one), 1e-6) for one, other in pairs)
