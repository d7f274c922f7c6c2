"""Means by prompt and paired differences, against sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hnbench.stats.by_prompt import compare
from hnbench.stats.intervals import ClusterBootstrap

TAGS = {"a0": "a", "a1": "a", "b0": "b", "b1": "b", "b2": "b"}
FIRST = {
    "random": {"a0": [1.0], "a1": [3.0], "b0": [10.0], "b1": [20.0], "b2": [30.0]},
    "ours": {"a0": [2.0], "a1": [5.0], "b0": [10.0], "b1": [21.0], "b2": [35.0]},
}
SECOND = {
    "random": {"a0": [2.0], "a1": [2.0], "b0": [12.0], "b1": [24.0], "b2": [30.0]},
    "ours": {"a0": [2.0], "a1": [1.0], "b0": [18.0], "b1": [24.0], "b2": [33.0]},
}


def test_the_mean_is_of_prompts_within_tags_and_of_tags() -> None:
    found = compare([FIRST], TAGS, "random")
    assert found["random"].level.estimate == pytest.approx((2 + 20) / 2)
    assert found["ours"].level.estimate == pytest.approx((3.5 + 22) / 2)
    assert found["random"].difference is None
    difference = found["ours"].difference
    assert difference is not None
    assert difference.estimate == pytest.approx((1.5 + 2) / 2)
    assert difference.low < difference.estimate < difference.high
    assert found["ours"].prompts == 5


def test_seeds_of_a_prompt_are_one_cluster() -> None:
    found = compare([FIRST, SECOND], TAGS, "random")["ours"]
    assert found.level.estimate == pytest.approx((10 / 4 + 141 / 6) / 2)
    gains = np.array([[1.0], [1.0], [6.0], [1.0], [8.0]])
    expected = (
        ClusterBootstrap(np.array([0, 0, 1, 1, 1]))
        .means(gains, np.full((5, 1), 2.0))
        .overall(0)
        .interval
    )
    assert found.difference == expected
    assert found.prompts == 5


def test_values_of_images_weigh_alike() -> None:
    table = {
        "random": {"a0": [0.0, 1.0, 1.0], "a1": [1.0]},
        "ours": {"a0": [1.0, 1.0, 1.0], "a1": [0.0]},
    }
    found = compare([table], {"a0": "a", "a1": "a"}, "random")
    assert found["random"].level.estimate == pytest.approx(3 / 4)
    assert found["ours"].difference is not None
    assert found["ours"].difference.estimate == pytest.approx(0)


def test_what_the_base_lacks_does_not_count() -> None:
    table = {
        "random": {"a0": [1.0], "b0": [2.0, 2.0]},
        "ours": {"a0": [4.0], "a1": [100.0], "b0": [3.0]},
    }
    found = compare(
        [table, {"random": {}, "ours": {"b0": [9.0, 9.0]}}],
        {"a0": "a", "a1": "a", "b0": "b"},
        "random",
    )
    assert (found["ours"].prompts, found["random"].prompts) == (1, 2)
    assert math.isnan(found["ours"].level.estimate)
    tags = {"a0": "a", "a1": "a"}
    assert compare([table], tags, "random")["ours"].level.estimate == 4


def test_without_a_base_there_are_means_alone() -> None:
    found = compare([{"": FIRST["ours"]}], TAGS, None)
    assert found[""].level.estimate == pytest.approx(12.75)
    assert found[""].difference is None
