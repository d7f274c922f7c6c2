"""The spread of values within and between clusters."""

from __future__ import annotations

import math

from hnbench.stats.intervals import Array, Indices
from hnbench.stats.paired import cluster_sums


def within_and_between(values: Array, clusters: Indices, count: int) -> tuple[float, float]:
    """The standard deviations of `values [S]` within clusters, and of the clusters' true means;
    both are NaN unless two clusters and one repeated value are there.

    `clusters` and `count` are as in `cluster_sums`, a NaN is an absent value. The estimates are
    those of a one-way analysis of variance with random effects: the pooled variance within, and
    the variance of the means less what the spread within adds to it, but at least zero.
    """
    sums, counts = (one[:, 0] for one in cluster_sums(values[:, None], clusters, count))
    squares, _ = cluster_sums(values[:, None] ** 2, clusters, count)
    there = counts > 0
    sums, counts, squares = sums[there], counts[there], squares[there, 0]
    groups, total = len(counts), float(counts.sum())
    if groups < 2 or total <= groups:
        return math.nan, math.nan
    means = sums / counts
    within = max(0.0, float((squares - counts * means**2).sum()) / (total - groups))
    mean = float(sums.sum()) / total
    among = float((counts * (means - mean) ** 2).sum()) / (groups - 1)
    size = (total - float((counts**2).sum()) / total) / (groups - 1)
    return math.sqrt(within), math.sqrt(max(0.0, (among - within) / size))
