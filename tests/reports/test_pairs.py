"""Every two methods compared, against counts by hand and against the summary's own comparisons."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hnbench.reports import pairs
from hnbench.reports.pairs import Pair, all_pairs
from hnbench.reports.summary import Summary


@pytest.fixture(scope="module")
def found(gappy: Summary) -> dict[tuple[str, str], Pair]:
    return {(pair.first, pair.second): pair for pair in all_pairs(gappy.pool)}


def test_every_two_labels_are_compared_in_order(
    gappy: Summary, found: dict[tuple[str, str], Pair]
) -> None:
    assert list(found) == list(combinations(gappy.pool.labels, 2))


def test_counts_are_those_of_the_records(
    gappy: Summary, found: dict[tuple[str, str], Pair]
) -> None:
    frame = gappy.pool.frame
    table = frame[frame["status"] == "done"].pivot_table(
        index=["prompt_id", "sample"], columns="label", values="correct"
    )
    tags = frame.groupby("prompt_id")["tag"].first()
    for (first, second), pair in found.items():
        both = table[[first, second]].dropna()
        gaps = (both[second] - both[first]).to_numpy()
        own = tags[both.index.get_level_values("prompt_id")].to_numpy()
        expected = {"": gaps} | {tag: gaps[own == tag] for tag in gappy.pool.tags}
        for tag, values in expected.items():
            score = pair.tags[tag] if tag else pair.overall
            counts = (score.wins, score.losses, score.ties)
            assert counts == tuple(int((np.sign(values) == sign).sum()) for sign in (1, -1, 0))
        means = [expected[tag].mean() for tag in gappy.pool.tags]
        assert pair.overall.difference.estimate == pytest.approx(np.mean(means))


def test_a_pair_of_the_summary_has_its_interval(
    gappy: Summary, found: dict[tuple[str, str], Pair]
) -> None:
    for label, row in gappy.rows.items():
        if label != "random":
            pair = found["random", label]
            assert pair.overall.difference == row.gain
            assert {tag: one.difference for tag, one in pair.tags.items()} == row.tag_gains
    compared = {one.against: one.gain for one in gappy.comparisons}
    own = found["best-of-2", "hypernoise"].overall.difference
    assert own.estimate == pytest.approx(compared["best-of-2"].estimate)
    assert (own.low, own.high) == pytest.approx(
        (compared["best-of-2"].low, compared["best-of-2"].high)
    )


def test_how_many_are_computed_together_changes_nothing(
    gappy: Summary, found: dict[tuple[str, str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_AT_A_TIME", 7)
    for pair in all_pairs(gappy.pool):
        known = found[pair.first, pair.second]
        assert pair.overall.wins == known.overall.wins
        assert pair.overall.difference.low == pytest.approx(known.overall.difference.low)
