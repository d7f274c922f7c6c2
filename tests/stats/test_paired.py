from __future__ import annotations

import itertools

import numpy as np
import pytest

from hnbench.stats.intervals import Array, Indices
from hnbench.stats.paired import cluster_sums, differences, sign_flip_p

STRATA: Indices = np.array([0, 0, 0, 1, 1, 1, 1, 1])


def statistic(sums: Array, counts: Array, signs: Array) -> float:
    tags = [(signs * sums)[tag == STRATA].sum() / counts[tag == STRATA].sum() for tag in (0, 1)]
    return abs(float(np.mean(tags)))


def by_enumeration(sums: Array, counts: Array) -> float:
    observed = statistic(sums, counts, np.ones(8))
    patterns = [
        statistic(sums, counts, np.array(signs))
        for signs in itertools.product([1.0, -1.0], repeat=8)
    ]
    return float(np.mean([pattern >= observed - 1e-12 for pattern in patterns]))


@pytest.mark.parametrize("seed", range(4))
def test_small_sets_are_enumerated_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums, counts = rng.normal(0.5, 1, size=8), rng.integers(1, 5, size=8).astype(float)
    assert sign_flip_p(sums[:, None], counts[:, None], STRATA)[0] == pytest.approx(
        by_enumeration(sums, counts), abs=1e-12
    )


def test_random_flips_agree_with_enumeration() -> None:
    rng = np.random.default_rng(11)
    sums, counts = rng.normal(0.4, 1, size=(8, 3)), rng.integers(1, 5, size=(8, 3)).astype(float)
    sampled = sign_flip_p(sums, counts, STRATA, flips=200)  # 2^8 > 200: sampled
    exact = sign_flip_p(sums, counts, STRATA)
    np.testing.assert_allclose(sampled, exact, atol=0.12)
    assert (sampled != exact).any()


def test_p_values_are_uniform_under_the_null() -> None:
    rng, strata = np.random.default_rng(12), np.repeat([0, 1], [20, 30])
    sums = rng.normal(size=(50, 1000))
    p_values = sign_flip_p(sums, np.ones((50, 1000)), strata, flips=999)
    assert np.mean(p_values <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_no_difference_at_all_gives_one_and_a_missing_stratum_nan() -> None:
    sums, counts = np.zeros((8, 2)), np.ones((8, 2))
    counts[STRATA == 1, 1] = 0
    none, missing = sign_flip_p(sums, counts, STRATA)
    assert none == 1.0
    assert np.isnan(missing)


def test_cluster_sums_leave_out_the_absent() -> None:
    sums, counts = cluster_sums(
        np.array([[1.0, np.nan], [2.0, 5.0], [3.0, np.nan]]), np.array([0, 0, 2]), 3
    )
    assert sums.tolist() == [[3.0, 5.0], [0.0, 0.0], [3.0, 0.0]]
    assert counts.tolist() == [[2.0, 1.0], [0.0, 0.0], [1.0, 0.0]]


def test_differences_need_both() -> None:
    result = differences(np.array([[1.0, 3.0], [np.nan, 3.0], [1.0, np.nan]]), 0)
    np.testing.assert_array_equal(result, [[0.0, 2.0], [np.nan, np.nan], [0.0, np.nan]])
