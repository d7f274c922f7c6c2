"""Every sentence of `headlines`, word for word, with the numbers that belong into it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from hnbench.reports.headlines import Headline, headlines
from hnbench.reports.headroom import Headroom
from hnbench.reports.labels import Label
from hnbench.reports.notes import interval_notes
from hnbench.reports.numbers import spanned
from hnbench.reports.summary import (
    BreakEven,
    LabelCoverage,
    PairedDifference,
    Summary,
    summarise_runs,
)
from hnbench.stats.intervals import Interval
from tests.reports.made_up import changed, made_up
from tests.reports.synthetic import manifest, write_run

NAN, INF = math.nan, math.inf
Seen = dict[str, list[str] | None]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return made_up(tmp_path_factory.mktemp("made-up") / "run")


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Without floating-point operations."""
    return made_up(tmp_path_factory.mktemp("uncounted") / "run", counted=False)


def found(summary: Summary) -> dict[str, Headline]:
    return {one.key: one for one in headlines(summary)}


def sentence(summary: Summary, key: str) -> str:
    return found(summary)[key].sentence


def without_judge(summary: Summary) -> Summary:
    first = summary.pool.manifests[0]
    unjudged = {**first, "suite": {**first["suite"], "judge": None}}
    return replace(summary, pool=replace(summary.pool, manifests=(unjudged,)))


def with_held_out(summary: Summary, names: list[str]) -> Summary:
    first = summary.pool.manifests[0]
    rewards = {**first["rewards"], "held_out": names}
    return replace(summary, pool=replace(summary.pool, manifests=({**first, "rewards": rewards},)))


def test_the_order_most_important_first(told: Summary) -> None:
    assert list(found(told)) == [
        "gain",
        "share_of_reno",
        "equivalent_best_of_n",
        "against_best_of_2",
        "over_controls",
        "held_out_rewards",
        "break_even",
    ]


def test_the_gain(told: Summary) -> None:
    one = found(told)["gain"]
    assert one.sentence == (
        "HyperNoise scores 0.541 [0.521, 0.571] overall, random noise 0.501 [0.481, 0.531]: "
        "a paired difference of +0.143 [+0.093, +0.203] (p = 0.054), at 70.3 GFLOP per image."
    )
    assert one.to_json() == {
        "key": "gain",
        "sentence": one.sentence,
        "overall": {"estimate": 0.541, "low": 0.521, "high": 0.571},
        "base": {"estimate": 0.501, "low": 0.481, "high": 0.531},
        "gain": {"estimate": pytest.approx(0.143), "low": 0.093, "high": 0.203},
        "p_holm": pytest.approx(0.054),
    }


@pytest.mark.parametrize(
    ("gain", "p_value", "difference", "doubt"),
    [
        (Interval(-0.1, -0.2, 0.0), 0.31, "-0.100 [-0.200, +0.000] (p = 0.310)", True),
        (Interval(-0.1, -0.2, -0.01), 0.00099, "-0.100 [-0.200, -0.010] (p < 0.001)", False),
        (Interval(0.1, 0.01, 0.2), 0.00149, "+0.100 [+0.010, +0.200] (p = 0.001)", False),
        (Interval(0.1, NAN, NAN), NAN, "+0.100 [no interval] (p n/a)", False),
    ],
)
def test_the_gain_s_doubt_and_p_value(
    told: Summary, gain: Interval, p_value: float, difference: str, *, doubt: bool
) -> None:
    other = changed(told, "hypernoise", gain=gain, p_holm=p_value)
    assert sentence(other, "gain") == (
        "HyperNoise scores 0.541 [0.521, 0.571] overall, random noise 0.501 [0.481, 0.531]: "
        f"a paired difference of {difference}, at 70.3 GFLOP per image."
        + " This cannot be told from zero."
        * doubt
    )


def test_the_gain_without_operations(uncounted: Summary) -> None:
    assert sentence(uncounted, "gain").endswith("(p = 0.054), at 6 generator passes per image.")


def test_the_gain_of_a_score_that_was_not_measured(told: Summary) -> None:
    other = changed(told, "hypernoise", overall=Interval(NAN, NAN, NAN))
    assert sentence(other, "gain").startswith(
        "HyperNoise scores not measured overall, random noise"
    )
    assert found(other)["gain"].to_json()["overall"] == {
        "estimate": None,
        "low": None,
        "high": None,
    }


def test_the_scores_without_the_prompts_seen_in_training(told: Summary) -> None:
    left = changed(
        told,
        "hypernoise",
        overall=Interval(0.711, 0.701, 0.721),
        gain=Interval(0.271, 0.261, 0.281),
        p_holm=0.0372,
    )
    left = changed(left, "random", overall=Interval(0.441, 0.431, 0.451))
    seen: Seen = {"hypernoise": ["colors/0001", "counting/0000"], "finetune": ["colors/0001"]}
    one = found(replace(told, seen=seen, unseen=left))["contamination"]
    assert one.sentence == (
        "2 of the 12 prompts were among the training prompts; without them HyperNoise scores "
        "0.711 [0.701, 0.721] overall, random noise 0.441 [0.431, 0.451]: a paired difference of "
        "+0.271 [+0.261, +0.281] (p = 0.037)."
    )
    assert one.to_json() == {
        "key": "contamination",
        "sentence": one.sentence,
        "seen_prompts": 2,
        "overall": {"estimate": 0.711, "low": 0.701, "high": 0.721},
        "base": {"estimate": 0.441, "low": 0.431, "high": 0.451},
        "gain": {"estimate": 0.271, "low": 0.261, "high": 0.281},
        "p_holm": 0.0372,
    }
    assert list(found(replace(told, seen=seen, unseen=left)))[:2] == ["gain", "contamination"]


def test_no_score_where_every_prompt_was_seen(told: Summary) -> None:
    seen: Seen = {"hypernoise": [prompt.id for prompt in told.pool.prompts]}
    assert sentence(replace(told, seen=seen), "contamination") == (
        "12 of the 12 prompts were among the training prompts: no score is left without them."
    )


def test_the_share_of_reno(told: Summary) -> None:
    one = found(told)["share_of_reno"]
    assert one.sentence == (
        "That is 61.3% [49.3%, 84.3%] of ReNO's gain (+0.133 [+0.083, +0.193]), "
        "at 2.15% [1.85%, 2.55%] of its FLOPs and 8.16% [7.66%, 8.76%] of its seconds."
    )
    assert one.to_json() == {
        "key": "share_of_reno",
        "sentence": one.sentence,
        "reno_gain": {"estimate": pytest.approx(0.133), "low": 0.083, "high": 0.193},
        "share_of_gain": {"estimate": 0.613, "low": 0.493, "high": 0.843},
        "share_of_tflops": {"estimate": 0.0215, "low": 0.0185, "high": 0.0255},
        "share_of_generator_passes": {"estimate": 0.0414, "low": 0.0314, "high": 0.0614},
        "share_of_seconds": {"estimate": 0.0816, "low": 0.0766, "high": 0.0876},
    }


def test_the_share_of_reno_without_operations(uncounted: Summary) -> None:
    one = found(uncounted)["share_of_reno"]
    assert one.sentence == (
        "That is 61.3% [49.3%, 84.3%] of ReNO's gain (+0.133 [+0.083, +0.193]), "
        "at 4.14% [3.14%, 6.14%] of its generator passes (forward and backward) and "
        "8.16% [7.66%, 8.76%] of its seconds."
    )
    assert "share_of_tflops" not in one.to_json()


def test_no_share_of_what_may_be_nothing(told: Summary) -> None:
    assert sentence(replace(told, shares=None), "share_of_reno") == (
        "ReNO's own difference to random noise, +0.133 [+0.083, +0.193], cannot be told from zero, "
        "so no share of it is stated."
    )


@pytest.mark.parametrize(
    ("equivalent", "text"),
    [
        (
            (5.67, 4.56, 6.78),
            (
                "Best-of-N reaches HyperNoise's score at N ≈ 5.7 [4.6 to 6.8], "
                "read off the measured curve, linear in log N."
            ),
        ),
        (
            (5.67, 1.0, INF),
            (
                "Best-of-N reaches HyperNoise's score at N ≈ 5.7 [1 to more than 8], "
                "read off the measured curve, linear in log N."
            ),
        ),
        (
            (5.67, NAN, NAN),
            (
                "Best-of-N reaches HyperNoise's score at N ≈ 5.7 [no interval], "
                "read off the measured curve, linear in log N."
            ),
        ),
        (
            (INF, 3.21, INF),
            "No best-of-N up to N = 8 reaches HyperNoise's score [3.2 to more than 8].",
        ),
        (
            (1.0, 1.0, 2.34),
            "Random noise already reaches HyperNoise's score (best-of-1) [1 to 2.3].",
        ),
    ],
)
def test_the_equivalent_search(
    told: Summary, equivalent: tuple[float, float, float], text: str
) -> None:
    one = found(replace(told, equivalent=Interval(*equivalent)))["equivalent_best_of_n"]
    assert one.sentence == text
    assert one.to_json()["largest_n"] == 8


def test_the_rival_of_the_same_passes(told: Summary) -> None:
    one = found(told)["against_best_of_2"]
    assert one.sentence == (
        "Against best-of-2, search at the same number of generator passes, HyperNoise differs by "
        "+0.041 [+0.020, +0.073] (p = 0.022)."
    )
    assert one.numbers == {"gain": told.comparisons[0].gain, "p_holm": 0.0217}
    first = replace(told.comparisons[0], gain=Interval(-0.04, -0.06, 0.03))
    assert sentence(replace(told, comparisons=(first,)), "against_best_of_2") == (
        "Against best-of-2, search at the same number of generator passes, HyperNoise differs by "
        "-0.040 [-0.060, +0.030] (p = 0.022). This cannot be told from zero."
    )


def test_the_controls(told: Summary) -> None:
    one = found(told)["over_controls"]
    assert one.sentence == (
        "HyperNoise minus each control: direct fine-tuning +0.051 [+0.038, +0.065], p = 0.032; "
        "random direction (control) +0.061 [+0.048, +0.075], p = 0.042; "
        "other noise (control) +0.071 [+0.058, +0.085], p = 0.052."
    )
    assert one.numbers == {each.against: each.gain for each in told.comparisons[1:]}
    assert "over_controls" not in found(replace(told, comparisons=told.comparisons[:1]))


def test_what_carries_over_to_held_out_rewards(told: Summary) -> None:
    one = found(told)["held_out_rewards"]
    assert one.sentence == (
        "In standard deviations of random noise's rewards, HyperNoise moves the optimised reward "
        "by "
        "+0.39 [+0.28, +0.61] and the held-out shapes-resnet by +2.39 [+2.28, +2.61], "
        "redness by +3.39 [+3.28, +3.61]."
    )
    gains = told.rows["hypernoise"].standard_gains
    assert one.numbers == {name: gains[name] for name in ("optimised", "shapes-resnet", "redness")}


@pytest.mark.parametrize(
    ("work", "seconds", "end"),
    [
        (33_333.0, 44_444.0, "after 33,333 images in {} and after 44,444 images in seconds."),
        (INF, 12.0, "never in {} and after 12 images in seconds."),
        (1234.0, NAN, "after 1,234 images in {} and at an unknown number of images in seconds."),
    ],
)
@pytest.mark.parametrize(
    ("unit", "cost", "words"),
    [
        ("tflops", "5.56 TFLOP", "FLOPs"),
        ("generator_passes", "5,555,555 generator passes", "generator passes"),
    ],
)
def test_what_the_training_cost(
    told: Summary, work: float, seconds: float, end: str, unit: str, cost: str, words: str
) -> None:
    even = (told.break_even[0], BreakEven("reno", work, seconds))
    one = found(replace(told, break_even=even, paid_in=unit))["break_even"]
    assert one.sentence == (
        f"Training HyperNoise took {cost}; against ReNO that is paid back {end.format(words)}"
    )
    assert one.numbers == pytest.approx(
        {
            f"training_{unit}": told.training["hypernoise"][unit],
            f"images_by_{unit}": work,
            "images_by_seconds": seconds,
        },
        nan_ok=True,
    )


def test_what_is_missing_comes_first(told: Summary) -> None:
    other = changed(told, "reno", coverage=LabelCoverage(planned=24, done=17, failed=4))
    one = headlines(other)[0]
    assert one.sentence == (
        "INCOMPLETE: ReNO has 17 of 24 planned samples (4 failed, 3 missing); "
        "its means are over those that are there and paired with the base."
    )
    assert one.to_json() == {
        "key": "incomplete/reno",
        "sentence": one.sentence,
        "planned": 24,
        "done": 17,
        "failed": 4,
        "missing": 3,
    }


def test_without_hypernoise_every_other_method_has_its_sentence(told: Summary) -> None:
    rows = {label: told.rows[label] for label in ("random", "reno", "best-of-2")}
    rows["best-of-2"] = replace(rows["best-of-2"], gain=Interval(0.01, -0.02, 0.03))
    other = replace(told, rows=rows)
    assert [one.sentence for one in headlines(other)] == [
        (
            "ReNO scores 0.531 [0.511, 0.561] overall, +0.133 [+0.083, +0.193] against random "
            "noise "
            "(p = 0.044)."
        ),
        (
            "best-of-2 scores 0.511 [0.491, 0.541] overall, +0.010 [-0.020, +0.030] against random "
            "noise (p = 0.024). This cannot be told from zero."
        ),
        (
            "The optimised reward rises, but the judge's score is not shown to rise with it, so "
            "the reward is exploited, or the run is too small to tell: best-of-2 by +0.33 [+0.22, "
            "+0.55] sd, judge +0.010 [-0.020, +0.030]."
        ),
    ]
    assert headlines(other)[0].key == "gain/reno"
    assert headlines(other)[0].numbers == {
        "overall": rows["reno"].overall,
        "gain": rows["reno"].gain,
        "p_holm": rows["reno"].p_holm,
    }


def test_without_a_judge(told: Summary) -> None:
    one = found(without_judge(told))
    assert next(iter(one)) == "no_judge"
    assert one["no_judge"].sentence == (
        "This suite has no judge: there are rewards only, and the optimised one favours whatever "
        "chose or ascended by it."
    )
    assert one["held_out_rewards/reno"].sentence == (
        "In standard deviations of random noise's rewards, ReNO moves the optimised reward by "
        "+0.37 [+0.26, +0.59] and the held-out shapes-resnet by +2.37 [+2.26, +2.59], "
        "redness by +3.37 [+3.26, +3.59]."
    )
    assert one["break_even"].sentence == sentence(told, "break_even")
    assert "held_out_rewards/random" not in one
    assert "gain" not in one


def test_without_a_judge_and_without_held_out_rewards(told: Summary) -> None:
    assert sentence(with_held_out(without_judge(told), []), "held_out_rewards") == (
        "In standard deviations of random noise's rewards, HyperNoise moves the optimised reward "
        "by "
        "+0.39 [+0.28, +0.61]."
    )
    assert "held_out_rewards" not in found(with_held_out(told, []))


def test_what_has_to_be_known_of_intervals(told: Summary) -> None:
    assert interval_notes(told) == [
        (
            "Intervals are not adjusted for the number of comparisons; p-values are (Holm). So an "
            "interval can exclude zero although its p-value is 0.05 or more."
        ),
        (
            "Tags with fewer than 20 prompts have intervals that are too narrow: single_object "
            "(2), "
            "two_object (2), counting (2), colors (2), position (2), color_attr (2). In "
            "simulations with "
            "4 prompts, 95% intervals contained the true score in 84% to 89% of cases and the "
            "true gain in "
            "78%; with 8 prompts, in 88% to 94% and in 87%."
        ),
    ]


def test_a_real_run_has_the_sentences_that_it_should(tmp_path: Path) -> None:
    """The key of a sentence and its numbers reach from the records to the text."""
    entry = manifest(("random", "hypernoise"), 2, 1, 0)["training"]["hypernoise"]
    folder = write_run(
        tmp_path / "run",
        ("random", "hypernoise"),
        prompts_per_tag=2,
        samples=1,
        failed=("hypernoise",),
        changes={"training": {"hypernoise": {**entry, "seen_prompts": ["colors/0000"]}}},
    )
    keys = [one.key for one in headlines(summarise_runs([folder]))]
    assert keys == [
        "incomplete/hypernoise",
        "gain",
        "contamination",
        "held_out_rewards",
        "not_following/judge",
    ]


def test_a_reward_that_nothing_follows(told: Summary) -> None:
    down = Interval(-0.2, -0.3, -0.1)
    rows = dict(told.rows)
    for label in ("reno", "hypernoise-other-noise"):
        gains = dict(rows[label].standard_gains, redness=down)
        gains["shapes-resnet"] = Interval(0.1, 0.0, 0.2)
        rows[label] = replace(rows[label], standard_gains=gains)
    one = found(replace(told, rows=rows))
    # Controls are not meant to gain anything.
    assert one["not_following/held_out"].sentence == (
        "The optimised reward rises, but no held-out reward is shown to rise with it, so the "
        "reward is exploited, or the run is too small to tell: ReNO by +0.37 [+0.26, +0.59] sd, "
        "shapes-resnet +0.100 [+0.000, +0.200], redness -0.200 [-0.300, -0.100]."
    )
    assert one["not_following/held_out"].numbers["reno/redness"] == down
    # What falls leaves no doubt.
    gains["shapes-resnet"] = down
    rows["reno"] = replace(rows["reno"], standard_gains={**rows["reno"].standard_gains, **gains})
    fallen = sentence(replace(told, rows=rows), "not_following/held_out")
    assert "so the reward is exploited: ReNO" in fallen
    # One held-out reward that rises is enough.
    gains = dict(rows["reno"].standard_gains, redness=Interval(0.2, 0.1, 0.3))
    rows["reno"] = replace(rows["reno"], standard_gains=gains)
    assert "not_following/held_out" not in found(replace(told, rows=rows))
    # Without a rise of the optimised reward there is nothing to follow.
    gains = dict(rows["reno"].standard_gains, redness=down, optimised=Interval(0.1, -0.1, 0.3))
    rows["reno"] = replace(rows["reno"], standard_gains=gains)
    assert "not_following/held_out" not in found(replace(told, rows=rows))


def test_a_generator_that_hardly_reacts_to_the_noise(
    told: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(_: object) -> dict[str, Headroom]:
        return {"optimised": Headroom(within=0.1, between=0.4)}

    assert "small_headroom" not in found(told)
    monkeypatch.setattr("hnbench.reports.headlines.headroom", small)
    assert sentence(told, "small_headroom") == (
        "This generator hardly reacts to the noise: of the variance of random noise's optimised "
        "reward, 5.9% is within prompts, so no choice of the noise can gain much."
    )


def test_the_parts_of_the_gain(told: Summary) -> None:
    assert "parts_of_gain" not in found(told)
    prompt = PairedDifference(
        Label("hypernoise-other-prompt", {}), Interval(0.09, 0.05, 0.13), 0.01
    )
    static = replace(told.rows["reno"], label="hypernoise-static", gain=Interval(0.01, -0.02, 0.03))
    other = replace(
        told,
        comparisons=(*told.comparisons, prompt),
        rows={**told.rows, "hypernoise-static": static},
    )
    lost = next(one.gain for one in told.comparisons if one.against == "hypernoise-other-noise")
    one = found(other)["parts_of_gain"]
    assert one.sentence == (
        f"Of HyperNoise's gain of {spanned(told.rows['hypernoise'].gain, sign=True)}, "
        f"{spanned(lost, sign=True)} is lost with the change for another noise, "
        "+0.090 [+0.050, +0.130] is lost with the change for another prompt, "
        "+0.010 [-0.020, +0.030] is left with the mean change. These parts can overlap."
    )
    assert one.numbers["this_prompt"] == prompt.gain
    # One control is enough for a sentence about it.
    alone = replace(told, comparisons=(prompt,))
    assert "another noise" not in sentence(alone, "parts_of_gain")
    assert "mean change" not in sentence(alone, "parts_of_gain")
