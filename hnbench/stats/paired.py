"""Paired differences between methods, clustered by prompt, and their sign-flip test.

Methods share the starting noise of each (prompt, sample, seed), so a difference is taken sample by
sample.
"""

from __future__ import annotations

import numpy as np

from hnbench.stats.intervals import SEED, Array, Indices

FLIPS = 20_000
_CHUNK = 200
"""Sign patterns that are computed at a time; all at once would be the largest array of a report."""


def cluster_sums(values: Array, clusters: Indices, count: int) -> tuple[Array, Array]:
    """The clusters' sums and numbers of values, each `[C, K]`, of `values [S, K]`; a NaN is an
    absent value.

    `clusters [S]` has the number of each row's cluster, and `count` is C.
    """
    present = ~np.isnan(values)
    sums, counts = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    # `sums[clusters] += ...` would keep only the last row of every cluster.
    np.add.at(sums, clusters, np.where(present, values, 0.0))
    np.add.at(counts, clusters, present.astype(np.float64))
    return sums, counts


def differences(values: Array, base: int) -> Array:
    """`values [S, L]` minus their column `base`; NaN if either of the two is absent."""
    return values - values[:, [base]]


def unmatched_differences(
    values: Array, reference: Array, clusters: Indices, count: int
) -> tuple[Array, Array, tuple[int, int]]:
    """The differences of the clusters' means between two methods whose samples are not matched.

    `values` and `reference [S]` have a NaN for an absent sample; `clusters` and `count` are as in
    `cluster_sums`. The result has the form of paired differences: `[C, 1]` differences, `[C, 1]`
    numbers (1, or 0 for a cluster that either method has no sample of), and the numbers of samples
    of both methods that they are over. A flipped sign exchanges all samples of a cluster, so
    `sign_flip_p` is the permutation test within clusters.
    """
    sums, counts = cluster_sums(np.stack([values, reference], axis=1), clusters, count)
    both = counts.min(axis=1) > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums / counts
    gaps = np.where(both, means[:, 0] - means[:, 1], 0.0)
    used = counts[both].sum(axis=0)
    return gaps[:, None], both[:, None].astype(np.float64), (int(used[0]), int(used[1]))


def sign_flip_p(
    sums: Array, counts: Array, strata: Indices, flips: int = FLIPS, seed: int = SEED
) -> Array:
    """Two-sided p-values `[K]` that the overall paired difference is zero, by flipping the signs of
    whole clusters.

    `sums` and `counts [C, K]` are those of the paired differences; `strata [C]` is as in the
    bootstrap. Under the null hypothesis, a cluster's difference is symmetric about zero. All sign
    patterns are enumerated if there are at most `flips` of them; otherwise `flips` random ones are
    drawn, and p = (1 + hits) / (1 + flips) (Phipson and Smyth 2010). NaN if a stratum has no pair.
    """
    contributions = _contributions(sums, counts, strata)
    result = np.full(contributions.shape[1], np.nan)
    sampled = []
    for column in np.flatnonzero(~np.isnan(contributions).any(axis=0)):
        # The sign of a zero changes nothing, so only the other clusters need to be enumerated.
        moving = contributions[contributions[:, column] != 0, column]
        if len(moving) <= np.log2(flips):
            result[column] = _exact_p(moving)
        else:
            sampled.append(column)
    if sampled:
        result[sampled] = _sampled_p(contributions[:, sampled], flips, np.random.default_rng(seed))
    return result


def _contributions(sums: Array, counts: Array, strata: Indices) -> Array:
    """The summand of each cluster in the mean of the strata's means, `[C, K]`."""
    present = np.unique(strata)
    with np.errstate(divide="ignore", invalid="ignore"):
        totals = {stratum: counts[strata == stratum].sum(axis=0) for stratum in present}
        return np.stack(
            [sums[row] / (totals[stratum] * len(present)) for row, stratum in enumerate(strata)]
        )


def _hits(flipped: Array, observed: Array) -> Array:
    # With the tolerance, a pattern that differs only by rounding (another order of summation)
    # counts as a tie.
    hits: Array = (np.abs(flipped) >= np.abs(observed) * (1 - 1e-9)).sum(axis=0).astype(np.float64)
    return hits


def _exact_p(contributions: Array) -> float:
    size = len(contributions)
    bits = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    flipped = (1.0 - 2.0 * bits) @ contributions
    return float(_hits(flipped, contributions.sum()) / 2**size)


def _sampled_p(contributions: Array, flips: int, rng: np.random.Generator) -> Array:
    observed = contributions.sum(axis=0)
    hits = np.zeros(len(observed))
    for start in range(0, flips, _CHUNK):
        rows = min(_CHUNK, flips - start)
        flipped = rng.integers(0, 2, size=(rows, len(contributions)), dtype=np.int8).astype(
            np.float64
        )
        # The sum after flipping some signs is the old sum minus twice the flipped summands.
        hits += _hits(observed - 2.0 * (flipped @ contributions), observed)
    return (1 + hits) / (1 + flips)
