"""The spread within and between clusters, against the textbook's formula and known variances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hnbench.stats.spread import within_and_between


def by_hand(groups: list[list[float]]) -> tuple[float, float]:
    """One-way analysis of variance, written out (Searle, Casella and McCulloch, Variance
    Components, section 3.6).
    """
    total = sum(len(group) for group in groups)
    mean = sum(map(sum, groups)) / total
    inner = sum((x - sum(group) / len(group)) ** 2 for group in groups for x in group)
    outer = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in groups)
    within = inner / (total - len(groups))
    size = (total - sum(len(group) ** 2 for group in groups) / total) / (len(groups) - 1)
    between = (outer / (len(groups) - 1) - within) / size
    return math.sqrt(within), math.sqrt(max(0.0, between))


@pytest.mark.parametrize(
    "groups",
    [
        [[1.0, 2.0, 4.0], [5.0, 5.5, 9.0], [-3.0, 0.0, 1.0]],
        [[1.0, 2.0], [5.0], [-3.0, 0.0, 1.0, 2.0]],
        [[1.0, -1.0], [1.0, -1.0]],
    ],
)
def test_it_is_the_analysis_of_variance(groups: list[list[float]]) -> None:
    values = np.array([x for group in groups for x in [*group, math.nan]])
    clusters = np.array([at for at, group in enumerate(groups) for _ in range(len(group) + 1)])
    found = within_and_between(values, clusters, len(groups) + 1)  # the last cluster is empty
    assert found == pytest.approx(by_hand(groups))


def test_it_finds_the_variances_that_the_values_have() -> None:
    draw = np.random.default_rng(0)
    clusters = np.repeat(np.arange(4000), 4)
    values = draw.normal(0, 2.0, 4000)[clusters] + draw.normal(0, 0.5, 16_000) + 7
    within, between = within_and_between(values, clusters, 4000)
    assert within == pytest.approx(0.5, rel=0.03)
    assert between == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("groups", [[[1.0, 2.0]], [[1.0], [2.0]], [[]]])
def test_without_repeats_or_a_second_cluster_nothing_is_known(groups: list[list[float]]) -> None:
    values = np.array([x for group in groups for x in group])
    clusters = np.array([at for at, group in enumerate(groups) for _ in group], dtype=np.intp)
    assert all(map(math.isnan, within_and_between(values, clusters, len(groups))))
