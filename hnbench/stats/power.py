"""The differences that a protocol can tell from zero, and the protocol that a difference needs.

A difference counts as detected if a two-sided test at 5% finds it in 80 of 100 runs (Cohen 1988,
"Statistical Power Analysis for the Behavioral Sciences"). With many prompts that is `SHARE` times
its standard error. p-values that are adjusted for several comparisons need larger differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hnbench.stats.intervals import Array, Estimate, Indices
from hnbench.stats.spread import within_and_between

SHARE = 1.959964 + 0.841621
"""The normal quantiles of 97.5% and 80%: the test's level on one side, and its power."""


def detectable(difference: Estimate) -> float:
    """The smallest difference that data like these would tell from zero; NaN if the spread of the
    estimate is not known.
    """
    draws = difference.draws[~np.isnan(difference.draws)]
    if difference.freedom < 1 or not len(draws):
        return math.nan
    return SHARE * float(draws.std())


@dataclass(frozen=True, eq=False)
class Spread:
    """The standard deviations of two methods' paired differences in each of H strata."""

    within: Array
    """`[H]`, between the samples of one prompt."""
    between: Array
    """`[H]`, of the prompts' true means."""

    def error(self, strata: Indices, samples: Indices) -> float:
        """The standard error of the mean of the strata's means, for prompts with these `strata [P]`
        and numbers of `samples [P]`.
        """
        variances = [
            (
                self.between[stratum] ** 2 * len(own)
                + self.within[stratum] ** 2 * float((1 / own).sum())
            )
            / len(own) ** 2
            for stratum in np.unique(strata)
            if len(own := samples[strata == stratum].astype(np.float64))
        ]
        return math.sqrt(sum(variances)) / len(variances)


def spread_of(differences: Array, clusters: Indices, strata: Indices) -> Spread:
    """The spread of paired differences `[S]` (NaN: absent) of samples with these `clusters [S]`,
    whose `strata [C]` are numbered from 0 without gaps. NaN for a stratum of one prompt.

    If every prompt has one sample, the two parts cannot be told apart, and all of it counts as
    between prompts: more samples then seem not to help.
    """
    number, tag_of = int(strata.max()) + 1, strata[clusters]
    found = [
        _parts(differences[tag_of == stratum], clusters[tag_of == stratum], len(strata))
        for stratum in range(number)
    ]
    within, between = np.array(found).T
    return Spread(within, between)


def _parts(values: Array, clusters: Indices, count: int) -> tuple[float, float]:
    within, between = within_and_between(values, clusters, count)
    there = values[~np.isnan(values)]
    if math.isnan(within) and len(there) > 1:
        return 0.0, float(there.std(ddof=1))
    return within, between


def seeds_for(difference: float, spread: Spread, strata: Indices, samples: Indices) -> int | None:
    """The least number of base seeds, each with these `samples [P]`, that detects the difference;
    None if no number does, because the prompts differ too much. `ValueError` unless it is above 0.
    """
    limit = _limit(difference) ** 2
    fixed = Spread(np.zeros_like(spread.within), spread.between).error(strata, samples) ** 2
    noise = spread.error(strata, samples) ** 2 - fixed
    if fixed >= limit:
        return None if noise > 0 or fixed > limit else 1
    return max(1, math.ceil(noise / (limit - fixed) - 1e-9))


def prompts_for(difference: float, spread: Spread, strata: Indices, samples: Indices) -> int:
    """The least number of prompts, in the same proportions of strata and samples, that detects the
    difference with one base seed. `ValueError` unless it is above 0.
    """
    factor = (spread.error(strata, samples) / _limit(difference)) ** 2
    return max(1, math.ceil(factor * len(strata) - 1e-9))


def _limit(difference: float) -> float:
    """The standard error at which the difference is detected."""
    if not 0 < difference < math.inf:
        raise ValueError(f"the difference to detect was {difference}; it must be above 0")
    return difference / SHARE
