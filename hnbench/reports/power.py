"""The power of a protocol for the differences of a pilot's rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.pairs import compared_by
from hnbench.stats.power import SHARE, prompts_for, seeds_for, spread_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.reports.pool import Pool
    from hnbench.runs.plan import PlannedPrompt


@dataclass(frozen=True)
class PairPower:
    """Two rows of the pilot, and the planned run's power for their difference in the overall score:
    a two-sided test at 5% that finds it in 80 of 100 runs.
    """

    first: str
    second: str
    detectable: float
    """The smallest difference that the planned run detects; NaN if the pilot has only one prompt of
    a tag.
    """
    seeds: int | None
    """The base seeds of the planned run that the wanted difference needs; None if no number of them
    is enough, because the prompts differ too much, and if it is not known.
    """
    prompts: int | None
    """The prompts, in the plan's proportions, that it needs with one base seed; None if unknown."""


def power_of(
    pilot: Pool, prompts: Sequence[PlannedPrompt], difference: float
) -> tuple[PairPower, ...]:
    """The power of a run with these `prompts`, whose tags the pilot has, for every two rows."""
    values = pilot.values(compared_by(pilot))
    strata = np.array([pilot.tags.index(prompt.tag) for prompt in prompts], dtype=np.intp)
    samples = np.array([prompt.samples for prompt in prompts], dtype=np.intp)
    found = []
    for first, second in combinations(range(len(pilot.labels)), 2):
        spread = spread_of(values[:, second] - values[:, first], pilot.clusters, pilot.strata)
        size, pair = (
            SHARE * spread.error(strata, samples),
            (pilot.labels[first], pilot.labels[second]),
        )
        if math.isnan(size):
            found.append(PairPower(*pair, size, None, None))
            continue
        seeds = seeds_for(difference, spread, strata, samples)
        found.append(
            PairPower(*pair, size, seeds, prompts_for(difference, spread, strata, samples))
        )
    return tuple(found)
