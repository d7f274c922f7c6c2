from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hnbench.stats.intervals import Array, ClusterBootstrap, Estimate, Indices, Interval
from hnbench.stats.paired import cluster_sums


def clustered(
    rng: np.random.Generator, sizes: list[int], samples: int
) -> tuple[Array, Indices, Indices]:
    """Values of samples that share their prompt's difficulty, the sample's cluster and the
    cluster's stratum.
    """
    strata: Indices = np.repeat(np.arange(len(sizes)), sizes)
    difficulty = rng.normal(size=len(strata)) + strata
    values = np.repeat(difficulty, samples) + rng.normal(scale=0.5, size=len(strata) * samples)
    return values[:, None], np.repeat(np.arange(len(strata)), samples), strata


def overall(values: Array, clusters: Indices, strata: Indices, resamples: int = 4000) -> Estimate:
    return (
        ClusterBootstrap(strata, resamples)
        .means(*cluster_sums(values, clusters, len(strata)))
        .overall(0)
    )


@pytest.mark.parametrize("sizes", [[5, 8, 6], [25, 30, 20]])
def test_overall_intervals_cover_the_truth_for_clustered_data(sizes: list[int]) -> None:
    rng, truth, trials = np.random.default_rng(1), np.mean(np.arange(3)), 500
    intervals = [overall(*clustered(rng, sizes, 4), resamples=600).interval for _ in range(trials)]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.92 <= covered <= 0.98


def test_tag_intervals_cover_the_truth_for_clustered_verdicts() -> None:
    rng, trials, inside = np.random.default_rng(2), 600, 0
    for _ in range(trials):
        chance = rng.beta(1.2, 0.8, size=30)
        verdicts = (rng.random((30, 4)) < chance[:, None]).astype(float).reshape(-1, 1)
        estimate = overall(
            verdicts, np.repeat(np.arange(30), 4), np.zeros(30, dtype=np.intp), resamples=600
        )
        inside += estimate.interval.low <= 0.6 <= estimate.interval.high
    assert 0.92 <= inside / trials <= 0.98


def test_ignoring_the_clusters_would_not_cover() -> None:
    """The simulation can tell: with samples taken as independent, the same intervals are too
    short.
    """
    rng, truth, trials, inside = np.random.default_rng(3), 0.0, 300, 0
    for _ in range(trials):
        values, _, _ = clustered(rng, [20], 4)
        interval = overall(
            values, np.arange(80), np.zeros(80, dtype=np.intp), resamples=600
        ).interval
        inside += interval.low <= truth <= interval.high
    assert inside / trials < 0.85


def test_variance_of_the_overall_is_the_closed_form_of_stratified_sampling() -> None:
    values, clusters, strata = clustered(np.random.default_rng(4), [4, 9, 25], 4)
    means = values.reshape(-1, 4).mean(axis=1)
    closed = sum(means[strata == h].var(ddof=1) / (strata == h).sum() for h in range(3)) / 9
    draws = overall(values, clusters, strata, resamples=40_000).draws
    assert draws.var() == pytest.approx(closed, rel=0.03)
    assert draws.mean() == pytest.approx(
        np.mean([means[strata == h].mean() for h in range(3)]), abs=0.01
    )


def test_interval_of_a_normal_mean_is_the_t_interval() -> None:
    values = np.random.default_rng(5).normal(size=(12, 1))
    interval = overall(
        values, np.arange(12), np.zeros(12, dtype=np.intp), resamples=60_000
    ).interval
    half = stats.t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.06)


def test_ratio_interval_agrees_with_fieller() -> None:
    rng, size = np.random.default_rng(6), 200
    denominator = rng.normal(2, 1, size=size)
    numerator = 0.6 * denominator + rng.normal(0, 0.7, size=size)
    means = ClusterBootstrap(np.zeros(size, dtype=np.intp), 20_000).means(
        np.stack([numerator, denominator], axis=1), np.ones((size, 2))
    )
    interval = (means.overall(0) / means.overall(1)).interval
    low, high = fieller(numerator, denominator)
    assert interval.estimate == pytest.approx(numerator.mean() / denominator.mean())
    assert interval.low == pytest.approx(low, abs=0.01)
    assert interval.high == pytest.approx(high, abs=0.01)


def fieller(numerator: Array, denominator: Array) -> tuple[float, float]:
    """Fieller's interval of a ratio of paired means (Fieller 1954)."""
    size, t = len(numerator), stats.t.ppf(0.975, len(numerator) - 1)
    (vn, cov), (_, vd) = np.cov(numerator, denominator) / size
    a = denominator.mean() ** 2 - t**2 * vd
    b = numerator.mean() * denominator.mean() - t**2 * cov
    c = numerator.mean() ** 2 - t**2 * vn
    root = np.sqrt(b**2 - a * c)
    return (b - root) / a, (b + root) / a


def test_columns_share_their_resamples() -> None:
    values = np.random.default_rng(7).normal(size=(30, 1))
    means = ClusterBootstrap(np.zeros(30, dtype=np.intp)).means(
        np.hstack([values, values + 1]), np.ones((30, 2))
    )
    np.testing.assert_allclose((means.overall(1) - means.overall(0)).draws, 1.0)


def test_the_seed_fixes_the_draws() -> None:
    values, clusters, strata = clustered(np.random.default_rng(8), [10, 10], 2)
    assert overall(values, clusters, strata).interval == overall(values, clusters, strata).interval


def test_a_stratum_with_one_cluster_gives_no_interval() -> None:
    means = ClusterBootstrap(np.array([0, 0, 1])).means(
        np.array([[1.0], [2.0], [4.0]]), np.ones((3, 1))
    )
    assert means.overall(0).value == 2.75
    assert math.isnan(means.overall(0).interval.low)
    assert math.isnan(means.stratum(1, 0).interval.high)
    assert not math.isnan(means.stratum(0, 0).interval.low)


def test_a_stratum_without_values_has_no_mean() -> None:
    means = ClusterBootstrap(np.array([0, 0, 1, 1])).means(
        np.array([[1.0], [2.0], [0.0], [0.0]]), np.array([[1.0], [1.0], [0.0], [0.0]])
    )
    assert means.stratum(0, 0).value == 1.5
    assert math.isnan(means.overall(0).value)
    assert math.isnan(means.overall(0).interval.low)


@pytest.mark.parametrize(
    ("interval", "excludes"),
    [
        (Interval(1, 0.5, 2), True),
        (Interval(-1, -2, -0.5), True),
        (Interval(1, -1, 2), False),
        (Interval(1, math.nan, math.nan), False),
    ],
)
def test_excludes_zero(interval: Interval, excludes: bool) -> None:
    assert interval.excludes_zero is excludes


def test_scaled_changes_the_unit() -> None:
    estimate = Estimate(2.0, np.array([1.0, 3.0]), 1).scaled(0.5)
    assert estimate.value == 1.0
    assert estimate.draws.tolist() == [0.5, 1.5]


def test_means_of_other_counts_are_those_of_a_new_bootstrap() -> None:
    """The totals of the last counts are kept, which must not be seen in those of other ones."""
    rng = np.random.default_rng(3)
    strata = np.array([0] * 5 + [1] * 4)
    counts = [np.full((9, 2), 2.0), np.full((9, 2), 3.0), np.full((9, 1), 3.0)]
    kept = ClusterBootstrap(strata, 50)
    for count in (*counts, *counts[::-1]):
        sums = rng.normal(size=count.shape)
        found = kept.means(sums, count)
        fresh = ClusterBootstrap(strata, 50).means(sums, count)
        np.testing.assert_array_equal(found.draws, fresh.draws)
        np.testing.assert_array_equal(found.values, fresh.values)
    changed, sums = counts[0].copy(), rng.normal(size=(9, 2))
    kept.means(sums, changed)
    changed[:, 0] = 7.0
    np.testing.assert_array_equal(
        kept.means(sums, changed).draws, ClusterBootstrap(strata, 50).means(sums, changed).draws
    )


def test_columns_of_one_call_are_those_of_a_call_each() -> None:
    """Columns with values for different clusters, and one with none in the last stratum."""
    rng = np.random.default_rng(7)
    strata: Indices = np.repeat([0, 1], [9, 7])
    values = rng.normal(size=(16, 5))
    values[rng.random((16, 5)) < 0.3] = np.nan
    values[9:, 4] = np.nan
    sums, counts = cluster_sums(values, np.arange(16), 16)
    bootstrap = ClusterBootstrap(strata, 50)
    together = bootstrap.means(sums, counts)
    for column in range(5):
        alone = bootstrap.means(sums[:, [column]], counts[:, [column]])
        part = together.part(column, 1)
        np.testing.assert_allclose(part.values, alone.values, rtol=1e-12)
        np.testing.assert_allclose(part.draws, alone.draws, rtol=1e-12)
        assert part.values[0, 0] == pytest.approx(np.nanmean(values[:9, column]))
    assert np.isnan(together.values[1, 4])
