from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from hnbench.reports.headlines import Headline, headlines
from hnbench.reports.numbers import amount, number, probability, spanned
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.stats.intervals import Interval
from tests.reports.synthetic import write_run


def test_numbers() -> None:
    assert number(0.12345) == "0.123"
    assert number(-0.12345, sign=True, digits=2) == "-0.12"
    assert number(0.0234, percent=True) == "2.34%"
    assert number(math.nan) == "n/a"
    assert number(math.inf) == "∞"
    assert number(-math.inf) == "-∞"


def test_spans() -> None:
    assert spanned(Interval(0.5, 0.4, 0.6), sign=True) == "+0.500 [+0.400, +0.600]"
    assert spanned(Interval(0.5, math.nan, math.nan)) == "0.500 [no interval]"
    assert spanned(Interval(math.nan, math.nan, math.nan)) == "not measured"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0004, "p < 0.001"), (0.0213, "p = 0.021"), (math.nan, "p n/a")]
)
def test_probabilities(value: float, text: str) -> None:
    assert probability(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.004321, "0.00432"),
        (999.7, "1,000"),
        (2100000.0, "2,100,000"),
        (50.0, "50"),
        (math.inf, "∞"),
    ],
)
def test_amounts(value: float, text: str) -> None:
    assert amount(value) == text


def test_findings_and_their_numbers(summary: Summary) -> None:
    found = {one.key: one for one in headlines(summary)}
    assert list(found) == [
        "gain",
        "share_of_reno",
        "equivalent_best_of_n",
        "against_best_of_2",
        "over_controls",
        "held_out_rewards",
        "break_even",
        "not_following/judge",
    ]
    assert found["gain"].numbers["gain"] == summary.rows["hypernoise"].gain
    assert spanned(summary.rows["hypernoise"].gain, sign=True) in found["gain"].sentence
    assert "9,279 images in generator passes" in found["break_even"].sentence
    json.dumps([one.to_json() for one in found.values()], allow_nan=False)


def test_gaps_come_first(gappy: Summary) -> None:
    keys = [one.key for one in headlines(gappy)]
    assert keys[:4] == ["incomplete/random", "incomplete/reno", "incomplete/hypernoise", "gain"]
    assert "71 of 72 planned samples (1 failed, 0 missing)" in headlines(gappy)[0].sentence


def sentence(tmp_path: Path, labels: tuple[str, ...], key: str, prompts: int = 6) -> str:
    summary = summarise_runs(
        [write_run(tmp_path / "run", labels, prompts_per_tag=prompts, samples=2)]
    )
    return next(one.sentence for one in headlines(summary) if one.key == key)


def test_without_hypernoise_the_others_are_the_findings(tmp_path: Path) -> None:
    assert sentence(tmp_path, ("random", "reno"), "gain/reno").startswith("ReNO scores 0.")


def test_doubt_is_said(tmp_path: Path) -> None:
    assert "cannot be told from zero" in sentence(
        tmp_path, ("random", "hypernoise-random-direction"), "gain/hypernoise-random-direction"
    )


def test_a_score_beyond_the_curve_is_a_bound(tmp_path: Path) -> None:
    assert "No best-of-N up to N = 2 reaches" in sentence(
        tmp_path, ("random", "best-of-2", "hypernoise"), "equivalent_best_of_n"
    )


def test_whole_numbers_and_missing_ones_are_json() -> None:
    found = Headline("key", "A sentence.", {"passes": 147_360, "seconds": float("nan")}).to_json()
    assert found == {"key": "key", "sentence": "A sentence.", "passes": 147_360, "seconds": None}
