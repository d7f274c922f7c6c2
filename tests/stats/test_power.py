"""The power statement against simulations of the test that a report makes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hnbench.stats.intervals import Array, ClusterBootstrap, Indices
from hnbench.stats.paired import cluster_sums, sign_flip_p
from hnbench.stats.power import (
    SHARE,
    Spread,
    detectable,
    prompts_for,
    seeds_for,
    spread_of,
)

WITHIN, BETWEEN = np.array([0.5, 0.3]), np.array([0.1, 0.4])


def protocol(prompts: tuple[int, int], samples: tuple[int, int]) -> tuple[Indices, Indices]:
    strata = np.repeat([0, 1], prompts)
    return strata.astype(np.intp), np.repeat(samples, prompts).astype(np.intp)


def drawn(
    rng: np.random.Generator, strata: Indices, samples: Indices, mean: float
) -> tuple[Array, Indices]:
    """Differences of samples, and their prompts."""
    clusters = np.repeat(np.arange(len(strata)), samples)
    own = mean + BETWEEN[strata] * rng.normal(size=len(strata))
    tags = strata[clusters]
    return own[clusters] + WITHIN[tags] * rng.normal(size=len(clusters)), clusters.astype(np.intp)


def rejected(mean: float, strata: Indices, samples: Indices, runs: int = 400) -> float:
    """The share of simulated runs in which the test finds the difference."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(runs):
        values, clusters = drawn(rng, strata, samples, mean)
        sums, counts = cluster_sums(values[:, None], clusters, len(strata))
        found.append(sign_flip_p(sums, counts, strata, flips=400)[0] < 0.05)
    return float(np.mean(found))


def test_the_smallest_detectable_difference_is_found_in_80_of_100_runs() -> None:
    strata, samples = protocol((30, 40), (4, 2))
    size = SHARE * Spread(WITHIN, BETWEEN).error(strata, samples)
    # Standard error of a share over 400 runs: 2 points.
    assert rejected(size, strata, samples) == pytest.approx(0.8, abs=0.06)
    assert rejected(size / 2, strata, samples) < 0.4
    assert rejected(0.0, strata, samples) == pytest.approx(0.05, abs=0.035)


def test_the_error_is_the_spread_of_the_estimates() -> None:
    strata, samples = protocol((12, 9), (4, 2))
    rng = np.random.default_rng(1)
    means = []
    for _ in range(4000):
        values, clusters = drawn(rng, strata, samples, 0.0)
        tags = strata[clusters]
        means.append((values[tags == 0].mean() + values[tags == 1].mean()) / 2)
    expected = Spread(WITHIN, BETWEEN).error(strata, samples)
    assert float(np.std(means)) == pytest.approx(expected, rel=0.04)


def test_the_spread_of_a_pilot_and_the_bootstrap_agree_with_the_truth() -> None:
    strata, samples = protocol((400, 300), (4, 2))
    values, clusters = drawn(np.random.default_rng(3), strata, samples, 0.2)
    found = spread_of(values, clusters, strata)
    np.testing.assert_allclose(found.within, WITHIN, rtol=0.1)
    np.testing.assert_allclose(found.between, BETWEEN, atol=0.05)
    sums, counts = cluster_sums(values[:, None], clusters, len(strata))
    estimate = ClusterBootstrap(strata).means(sums, counts).overall(0)
    expected = SHARE * Spread(WITHIN, BETWEEN).error(strata, samples)
    assert detectable(estimate) == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("difference", [0.05, 0.1, 0.2, 0.5])
def test_seeds_and_prompts_are_the_fewest_that_suffice(difference: float) -> None:
    spread = Spread(WITHIN, BETWEEN)
    strata, samples = protocol((30, 40), (4, 2))
    seeds = seeds_for(difference, spread, strata, samples)
    limit = difference / SHARE
    if seeds is None:
        assert spread.error(strata, samples * 10**6) > limit
    else:
        assert spread.error(strata, samples * seeds) <= limit * (1 + 1e-9)
        assert seeds == 1 or spread.error(strata, samples * (seeds - 1)) > limit
    prompts = prompts_for(difference, spread, strata, samples)
    factor = prompts / len(strata)
    assert spread.error(strata, samples) / math.sqrt(factor) <= limit * (1 + 1e-9)
    assert prompts == 1 or spread.error(strata, samples) / math.sqrt((prompts - 1) / 70) > limit


def test_with_one_sample_of_each_prompt_seeds_are_not_promised_to_help() -> None:
    strata, samples = protocol((30, 40), (1, 1))
    values, clusters = drawn(np.random.default_rng(5), strata, samples, 0.0)
    found = spread_of(values, clusters, strata)
    assert found.within.tolist() == [0.0, 0.0]
    small = SHARE * found.error(strata, samples) / 2
    assert seeds_for(small, found, strata, samples) is None
    assert prompts_for(small, found, strata, samples) == 4 * 70


def test_a_stratum_of_one_prompt_gives_no_answer() -> None:
    strata = np.array([0, 0, 1], dtype=np.intp)
    values = np.array([0.0, 1.0, 1.0])
    found = spread_of(values, np.arange(3), strata)
    assert math.isnan(found.error(strata, np.ones(3, dtype=np.intp)))


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_difference_that_is_not_above_zero_is_refused(wrong: float) -> None:
    strata, samples = protocol((3, 4), (4, 2))
    with pytest.raises(ValueError, match="it must be above 0"):
        prompts_for(wrong, Spread(WITHIN, BETWEEN), strata, samples)
