"""Two methods whose samples are not matched: their prompts' means are compared."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hnbench.stats.intervals import Array, ClusterBootstrap
from hnbench.stats.paired import cluster_sums, sign_flip_p, unmatched_differences

STRATA = np.array([0, 0, 0, 1, 1, 1])
CLUSTERS = np.repeat(np.arange(6), 2)


def test_p_is_that_of_exchanging_the_images_of_a_prompt() -> None:
    """By brute force: every way to exchange the two methods' images within prompts."""
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.6, 1, size=(6, 2)), rng.normal(0.0, 1, size=(6, 2))

    def statistic(first: Array, second: Array) -> float:
        gaps = first.mean(axis=1) - second.mean(axis=1)
        return abs(float(gaps[:3].mean() + gaps[3:].mean()) / 2)

    observed = statistic(one, other)
    exchanged = []
    for swap in itertools.product([False, True], repeat=6):
        chosen = np.array(swap)[:, None]
        exchanged.append(
            statistic(np.where(chosen, other, one), np.where(chosen, one, other))
            >= observed - 1e-12
        )
    sums, counts, used = unmatched_differences(one.ravel(), other.ravel(), CLUSTERS, 6)
    assert sign_flip_p(sums, counts, STRATA)[0] == pytest.approx(np.mean(exchanged), abs=1e-12)
    assert 0.01 < np.mean(exchanged) < 0.99
    assert used == (12, 12)


def test_every_prompt_counts_once_and_absent_ones_do_not() -> None:
    one = np.array([1.0, np.nan, 4.0, 6.0, np.nan, np.nan, 1.0, 1.0, 0.0, 1.0, 5.0, 5.0])
    other = np.array([0.0, 2.0, np.nan, 3.0, 7.0, 7.0, 0.0, 0.0, 0.0, 0.0, np.nan, np.nan])
    sums, counts, used = unmatched_differences(one, other, CLUSTERS, 6)
    assert sums[:, 0].tolist() == [0.0, 2.0, 0.0, 1.0, 0.5, 0.0]
    assert counts[:, 0].tolist() == [1, 1, 0, 1, 1, 0]
    assert used == (7, 7)


@pytest.mark.parametrize("matched", [True, False])
def test_intervals_cover_the_truth_with_the_same_noises_and_with_others(matched: bool) -> None:
    """Prompts differ in difficulty and in their gain, noises in luck. With the same noises the luck
    is common to both methods, and pairs are narrower; both cover.
    """
    rng, truth, prompts, samples = np.random.default_rng(5), 0.3, 24, 3
    clusters = np.repeat(np.arange(prompts), samples)
    bootstrap = ClusterBootstrap(np.repeat([0, 1], prompts // 2), resamples=1000)
    covered, widths = [], []
    for _ in range(400):
        difficulty = np.repeat(rng.normal(0, 2, prompts), samples)
        gain = np.repeat(rng.normal(truth, 0.3, prompts), samples)
        luck = rng.normal(0, 1, (2, prompts * samples))
        own = rng.normal(0, 0.2, (2, prompts * samples))
        base = difficulty + luck[0] + own[0]
        method = difficulty + gain + luck[0 if matched else 1] + own[1]
        if matched:
            sums, counts = cluster_sums((method - base)[:, None], clusters, prompts)
        else:
            sums, counts, _ = unmatched_differences(method, base, clusters, prompts)
        found = bootstrap.means(sums, counts).overall(0).interval
        covered.append(found.low <= truth <= found.high)
        widths.append(found.high - found.low)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.035)
    # The variance of a prompt's difference in closed form: its gain, its noises' luck, the rest.
    variance = 0.3**2 + (0 if matched else 2 * 1 / samples) + 2 * 0.2**2 / samples
    expected = 2 * 2.074 * np.sqrt(variance / prompts)  # Student's t with 22 degrees of freedom
    assert np.mean(widths) == pytest.approx(expected, rel=0.06)
