"""Confidence intervals by a stratified cluster bootstrap over prompts.

The unit is the prompt: all samples and all base seeds of a prompt form one cluster, because they
share its difficulty. Prompts are resampled within their tag (stratum), and "overall" is the
unweighted mean of the tag means.

Without two corrections, the intervals would be too narrow if a tag has few prompts. Each resample
draws n - 1 of a stratum's n clusters with replacement, which makes the bootstrap variance of a mean
unbiased (Rao and Wu 1988, "Resampling inference with complex survey data"). And the percentiles are
widened from those of the normal distribution to those of Student's t (Hesterberg 2015, "What
teachers should know about the bootstrap", the expanded percentile interval).

The same resamples serve every method and every metric, so differences and ratios of estimates are
paired.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

LEVEL = 0.95
RESAMPLES = 4000
_CHUNK = 500
"""Resamples that are averaged at a time; all at once would need as much memory as the draws."""
SEED = 20250
"""The seed of all resamples and sign flips. It is fixed, so that a report gives the same numbers
again.
"""


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided 95% bounds; the bounds are NaN if the data do not give any."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value, its bootstrap draws `[R]` and their degrees of freedom.

    Estimates of one bootstrap share their resamples, so `a - b` and `a / b` are paired draw by
    draw.
    """

    value: float
    draws: Array
    freedom: int

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.value - other.value, self.draws - other.draws, min(self.freedom, other.freedom)
        )

    def __truediv__(self, other: Estimate) -> Estimate:
        with np.errstate(divide="ignore", invalid="ignore"):
            # Division by zero gives infinity or NaN in numpy, and an error in plain Python.
            draws = self.draws / other.draws
            value = float(np.float64(self.value) / np.float64(other.value))
        return Estimate(value, draws, min(self.freedom, other.freedom))

    def scaled(self, factor: float) -> Estimate:
        """The estimate in another, fixed unit."""
        return Estimate(self.value * factor, self.draws * factor, self.freedom)

    @property
    def interval(self) -> Interval:
        """The expanded percentile interval at level `LEVEL`.

        Bounds are order statistics of the draws (no interpolation), so infinite draws are harmless.
        """
        # A draw is NaN if its resample has no value in some stratum.
        draws = self.draws[~np.isnan(self.draws)]
        if self.freedom < 1 or math.isnan(self.value) or not len(draws):
            return Interval(self.value, math.nan, math.nan)
        tail = _tail_of_students_t(self.freedom)
        low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
        return Interval(self.value, float(low), float(high))


def _tail_of_students_t(freedom: int) -> float:
    """The tail probability of the normal distribution beyond the quantile of Student's t that
    leaves (1 - LEVEL) / 2.
    """
    from scipy.special import ndtr, stdtrit

    return float(ndtr(stdtrit(freedom, (1 - LEVEL) / 2)))


@dataclass(frozen=True, eq=False)
class StratifiedMeans:
    """The means of K columns in H strata: `values [H, K]`, their `draws [R, H, K]`, and the numbers
    of clusters in the strata, `sizes [H]`.
    """

    values: Array
    draws: Array
    sizes: Indices

    def stratum(self, stratum: int, column: int) -> Estimate:
        """The mean of one column in one stratum."""
        return Estimate(
            float(self.values[stratum, column]),
            self.draws[:, stratum, column],
            int(self.sizes[stratum]) - 1,
        )

    def part(self, first: int, number: int) -> StratifiedMeans:
        """Some of the columns: `number` of them, from `first` on."""
        chosen = slice(first, first + number)
        return StratifiedMeans(self.values[:, chosen], self.draws[:, :, chosen], self.sizes)

    def overall(self, column: int) -> Estimate:
        """The unweighted mean of the strata's means of one column. It has no interval if a stratum
        has only one cluster.
        """
        # A stratum of one cluster would look certain, because all its resamples are equal.
        freedom = int((self.sizes - 1).sum()) if (self.sizes > 1).all() else 0
        return Estimate(
            float(self.values[:, column].mean()), self.draws[:, :, column].mean(axis=1), freedom
        )


class ClusterBootstrap:
    """Resamples of clusters within strata, drawn once and used for every statistic.

    `strata [C]` numbers the stratum of each cluster from 0 without gaps.
    """

    def __init__(self, strata: Indices, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        rng = np.random.default_rng(seed)
        self._members = [
            np.flatnonzero(strata == stratum) for stratum in range(int(strata.max()) + 1)
        ]
        self.sizes: Indices = np.array([len(members) for members in self._members], dtype=np.intp)
        # Stored as small integers: as float64, these would be the largest arrays of a report.
        self._weights = [
            rng.multinomial(size - 1, np.full(size, 1 / size), size=resamples).astype(np.uint16)
            for size in self.sizes
        ]

    def means(self, sums: Array, counts: Array) -> StratifiedMeans:
        """The means of K columns from the clusters' `sums [C, K]` and `counts [C, K]`; NaN for a
        stratum without any value. Many columns in one call take a fraction of as many calls.
        """
        # Nearly all columns have the same counts.
        different, places = np.unique(counts, axis=1, return_inverse=True)
        strata, columns = len(self._members), sums.shape[1]
        values = np.empty((strata, columns))
        draws = np.empty((len(self._weights[0]), strata, columns))
        with np.errstate(divide="ignore", invalid="ignore"):
            for stratum, members in enumerate(self._members):
                own = sums[members], different[members]
                values[stratum] = own[0].sum(axis=0) / own[1].sum(axis=0)[places]
                for start in range(0, len(draws), _CHUNK):
                    part = slice(start, start + _CHUNK)
                    weights = self._weights[stratum][part].astype(np.float64)
                    draws[part, stratum] = (weights @ own[0]) / (weights @ own[1])[:, places]
        return StratifiedMeans(values, draws, self.sizes)
