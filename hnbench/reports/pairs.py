"""Every two methods compared: wins, losses, ties and the paired difference, overall and by tag.

The differences come from the same resamples as all other numbers of a report, so a pair that the
report also states has the same interval there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from hnbench.runs.frame import OPTIMISED, SCORE
from hnbench.stats.paired import cluster_sums
from hnbench.stats.power import detectable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hnbench.reports.pool import Pool
    from hnbench.stats.intervals import Array, Interval

_AT_A_TIME = 64
"""Pairs whose resamples are in memory together, so that many labels need no more of it."""


@dataclass(frozen=True)
class PairedScore:
    """The second label against the first, over the samples that both have."""

    difference: Interval
    """The second label's mean minus the first's."""
    wins: int
    """The number of samples in which the second label has the higher score."""
    losses: int
    ties: int


@dataclass(frozen=True)
class Pair:
    """Two labels of a report, compared overall and by tag."""

    first: str
    second: str
    overall: PairedScore
    tags: dict[str, PairedScore]
    detectable: float = math.nan
    """The smallest overall difference that such a run tells from zero (`hnbench.stats.power`); NaN
    if it is not known, as in a comparison of runs.
    """


def compared_by(pool: Pool) -> str:
    """The column that pairs are compared by: the judge's score, or the optimised reward without a
    judge.
    """
    return SCORE if pool.judged else OPTIMISED


def all_pairs(pool: Pool) -> list[Pair]:
    """Every two labels of a pool, in the order of its labels; the second comes after the first."""
    values = pool.values(compared_by(pool))
    indices = list(combinations(range(len(pool.labels)), 2))
    return [
        pair
        for start in range(0, len(indices), _AT_A_TIME)
        for pair in _compared(pool, values, indices[start : start + _AT_A_TIME])
    ]


def _compared(pool: Pool, values: Array, indices: Sequence[tuple[int, int]]) -> Iterator[Pair]:
    firsts, seconds = map(list, zip(*indices, strict=True))
    gaps = values[:, seconds] - values[:, firsts]
    means = pool.bootstrap.means(*cluster_sums(gaps, pool.clusters, len(pool.prompts)))
    tag_of = pool.strata[pool.clusters]
    for column, (first, second) in enumerate(indices):
        gap = gaps[:, column]
        yield Pair(
            pool.labels[first],
            pool.labels[second],
            paired_score(means.overall(column).interval, gap),
            {
                tag: paired_score(means.stratum(at, column).interval, gap[tag_of == at])
                for at, tag in enumerate(pool.tags)
            },
            detectable(means.overall(column)),
        )


def paired_score(difference: Interval, gaps: Array) -> PairedScore:
    """The mean difference of some samples, and how many of their differences `gaps`, `[S]`,
    are above, below and at zero. NaN is none of them.
    """
    wins, losses, ties = (int(np.count_nonzero(found)) for found in (gaps > 0, gaps < 0, gaps == 0))
    return PairedScore(difference, wins, losses, ties)
