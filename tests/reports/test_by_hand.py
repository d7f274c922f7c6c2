"""A report's numbers, and the sentences that state them, against brute force in plain Python."""

from __future__ import annotations

import math
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from hnbench.reports.headlines import headlines
from hnbench.reports.markdown import markdown
from hnbench.reports.summary import Row, Summary, summarise_runs
from hnbench.reports.tables import summary_frame
from hnbench.stats.intervals import Interval
from tests.reports.by_hand import (
    ByHand,
    Chosen,
    Span,
    Statistic,
    cost,
    deviation,
    holm_by_hand,
    reward,
)
from tests.reports.synthetic import LABELS, SEARCHED, TAGS, manifest, write_run

SEEN = ("colors/0001", "counting/0000")
"""Each of a tag of two prompts: what is left has no interval of that tag."""
TRAINED = {"generator_passes": 6e5 + 3e5, "tflops": 4321.0, "seconds": 312.0}
PASSES_SECONDS = ("generator_passes", "seconds")
OTHERS = LABELS[1:]
NAMES = {
    "finetune": "direct fine-tuning",
    "hypernoise-random-direction": "random direction (control)",
    "hypernoise-other-noise": "other noise (control)",
}
REWARDS = ("optimised", "shapes-clip", "shapes-resnet", "redness")


def training(samples: int, seen: tuple[str, ...], *, counted: bool) -> dict[str, Any]:
    entry = manifest(LABELS, 2, samples, 0)["training"]["hypernoise"]
    flops = {"flops": 1e12 * TRAINED["tflops"]} if counted else {}
    return {"training": {"hypernoise": {**entry, **flops, "seen_prompts": list(seen)}}}


SAMPLES = 3


@pytest.fixture(scope="module", params=[2, 5, 6])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under base seeds 2 and 5 ReNO's gain can be told from zero, under 6 it cannot. Operations are
    counted of everything under 5, of all images but of no training under 6, and under 2 of all
    methods but one.
    """
    path = tmp_path_factory.mktemp("by-hand") / f"seed{request.param}"
    return write_run(
        path,
        prompts_per_tag=2,
        samples=SAMPLES,
        base_seed=request.param,
        changes=training(SAMPLES, SEEN, counted=request.param == 5),
        uncounted=("best-of-4",) if request.param == 2 else (),
    )


@pytest.fixture(scope="module")
def told(folder: Path) -> Summary:
    return summarise_runs([folder])


@pytest.fixture(scope="module")
def hand(folder: Path) -> ByHand:
    return ByHand.of(folder)


@pytest.fixture(scope="module")
def work(told: Summary) -> str:
    return "generator_passes" if told.pool.seeds == (2,) else "tflops"


@pytest.fixture(scope="module")
def paid_in(told: Summary) -> str:
    return "tflops" if told.pool.seeds == (5,) else "generator_passes"


def same(found: Interval, expected: Span) -> bool:
    return astuple(found) == pytest.approx(expected, abs=1e-12, rel=1e-9)


def test_scores_and_gains(told: Summary, hand: ByHand) -> None:
    for label, row in told.rows.items():
        assert same(row.overall, hand.span(hand.level(label)))
        assert same(row.gain, hand.span(hand.gain(label)))
        for tag in TAGS:
            assert same(row.tags[tag], hand.span(hand.level(label), [tag]))
            assert same(row.tag_gains[tag], hand.span(hand.gain(label), [tag]))


def test_rewards_and_costs(told: Summary, hand: ByHand, work: str) -> None:
    costs = list(dict.fromkeys([work, "generator_passes", "seconds"]))
    for label, row in told.rows.items():
        assert row.standard_gains.keys() == set(REWARDS)
        for name in REWARDS:
            base = [
                v
                for samples in hand.values("random", reward(name)).values()
                for v in samples.values()
            ]
            gain = hand.span(hand.gain(label, of=reward(name)))
            assert same(row.rewards[name], hand.span(hand.level(label, reward(name))))
            assert same(row.reward_gains[name], gain)
            low, middle, high = (value / deviation(base) for value in gain)
            assert same(row.standard_gains[name], (low, middle, high))
        assert list(row.costs) == costs
        for name in costs:
            assert same(row.costs[name], hand.span(hand.level(label, cost(name))))


def test_the_adjusted_p_value_of_every_method(told: Summary, hand: ByHand) -> None:
    raw = {label: hand.p_value(label) for label in OTHERS}
    adjusted = holm_by_hand(raw)
    assert sum(adjusted[label] > raw[label] for label in OTHERS) > 5
    for label in OTHERS:
        assert told.rows[label].p_holm == pytest.approx(adjusted[label])
    assert math.isnan(told.rows["random"].p_holm)


def test_the_comparisons_of_hypernoise_are_adjusted_together(told: Summary, hand: ByHand) -> None:
    names = ("best-of-2", "finetune", "hypernoise-random-direction", "hypernoise-other-noise")
    raw = {name: hand.p_value("hypernoise", name) for name in names}
    adjusted = holm_by_hand(raw)
    assert tuple(one.against for one in told.comparisons) == names
    for one in told.comparisons:
        assert same(one.gain, hand.span(hand.gain("hypernoise", one.against)))
        assert one.p_holm == pytest.approx(adjusted[one.against])


def equivalent_to_hypernoise(hand: ByHand) -> Statistic:
    """The N at which the curve of best-of-N, linear in log N, first reaches HyperNoise's score."""
    labels = {1: "random", **{int(label.rsplit("-", 1)[1]): label for label in SEARCHED}}

    def statistic(chosen: Chosen) -> float:
        target = hand.level("hypernoise")(chosen)
        points = [(number, hand.level(label)(chosen)) for number, label in labels.items()]
        before, below = points[0]
        if below >= target:
            return before
        for number, score in points[1:]:
            if score >= target:
                return float(before * (number / before) ** ((target - below) / (score - below)))
            before, below = number, score
        return math.inf

    return statistic


def test_the_curve_of_best_of_n(told: Summary, hand: ByHand) -> None:
    labels = {1: "random", **{int(label.rsplit("-", 1)[1]): label for label in SEARCHED}}
    assert list(told.curve) == [1, 2, 4, 8, 16, 32, 50]
    for number, label in labels.items():
        assert same(told.curve[number], hand.span(hand.level(label)))

    assert told.equivalent is not None
    assert same(told.equivalent, hand.span(equivalent_to_hypernoise(hand)))


def test_the_shares_of_reno(told: Summary, hand: ByHand) -> None:
    _, low, high = hand.span(hand.gain("reno"))
    if low <= 0 <= high:
        assert told.shares is None
        return
    assert told.shares is not None
    gain = hand.span(lambda chosen: hand.gain("hypernoise")(chosen) / hand.gain("reno")(chosen))
    assert same(told.shares.gain, gain)
    assert told.shares.costs.keys() == told.rows["reno"].costs.keys()
    for name in told.shares.costs:
        ours, theirs = hand.level("hypernoise", cost(name)), hand.level("reno", cost(name))
        assert same(told.shares.costs[name], ratio(hand, ours, theirs))


def ratio(hand: ByHand, ours: Statistic, theirs: Statistic) -> Span:
    return hand.span(lambda chosen: ours(chosen) / theirs(chosen))


def test_both_cases_of_reno_are_looked_at(told: Summary) -> None:
    assert (told.shares is None) == (told.pool.seeds == (6,))


def test_when_the_training_is_paid_back(told: Summary, hand: ByHand, paid_in: str) -> None:
    assert told.paid_in == paid_in
    for one in told.break_even:
        prompts = hand.prompts
        saved = {
            name: hand.level(one.against, cost(name))(prompts)
            - hand.level("hypernoise", cost(name))(prompts)
            for name in (paid_in, "seconds")
        }
        images = [
            math.ceil(TRAINED[name] / each) if each > 1e-12 else math.inf
            for name, each in saved.items()
        ]
        assert [one.by_work, one.by_seconds] == images
    assert [one.against for one in told.break_even] == [*SEARCHED, "reno"]
    known = {name: value for name, value in TRAINED.items() if name in (paid_in, *PASSES_SECONDS)}
    found = told.training["hypernoise"]
    assert {name: value for name, value in found.items() if not math.isnan(value)} == known


@pytest.fixture(scope="module")
def unseen(told: Summary) -> dict[str, Row]:
    assert told.unseen is not None
    return told.unseen.rows


def test_the_scores_without_the_seen_prompts(unseen: dict[str, Row], folder: Path) -> None:
    hand = ByHand.of(folder, without=SEEN)
    assert sum(map(len, hand.prompts.values())) == 10
    adjusted = holm_by_hand({label: hand.p_value(label) for label in OTHERS})
    for label, row in unseen.items():
        assert row.overall.estimate == pytest.approx(hand.level(label)(hand.prompts))
        assert row.gain.estimate == pytest.approx(hand.gain(label)(hand.prompts), abs=1e-12)
        assert label == "random" or row.p_holm == pytest.approx(adjusted[label])


def spanned(span: Span, how: str = "{:.3f}", unit: float = 1) -> str:
    estimate, low, high = (how.format(unit * value) for value in span)
    return f"{estimate} [{low}, {high}]"


def signed(span: Span) -> str:
    return spanned(span, "{:+.3f}")


def percent(span: Span) -> str:
    return spanned(span, "{:.3g}%", 100)


def doubt(span: Span) -> str:
    return " This cannot be told from zero." if span[1] <= 0 <= span[2] else ""


def sentences(told: Summary) -> dict[str, str]:
    return {one.key: one.sentence for one in headlines(told)}


def test_the_sentence_of_the_gain(told: Summary, hand: ByHand, work: str) -> None:
    each = "2 generator passes" if work == "generator_passes" else "4.2 GFLOP"
    own, base = hand.span(hand.level("hypernoise")), hand.span(hand.level("random"))
    gain = hand.span(hand.gain("hypernoise"))
    p_value = holm_by_hand({label: hand.p_value(label) for label in OTHERS})["hypernoise"]
    assert sentences(told)["gain"] == (
        f"HyperNoise scores {spanned(own)} overall, random noise {spanned(base)}: "
        f"a paired difference of {signed(gain)} (p = {p_value:.3f}), "
        f"at {each} per image.{doubt(gain)}"
    )


def test_the_sentence_without_the_seen_prompts(told: Summary, folder: Path) -> None:
    """One prompt is left of two tags, so there are no intervals."""
    hand = ByHand.of(folder, without=SEEN)
    own, base, gain = (
        statistic(hand.prompts)
        for statistic in (hand.level("hypernoise"), hand.level("random"), hand.gain("hypernoise"))
    )
    p_value = holm_by_hand({label: hand.p_value(label) for label in OTHERS})["hypernoise"]
    whole = ByHand.of(folder)
    assert own != whole.level("hypernoise")(whole.prompts)
    assert sentences(told)["contamination"] == (
        "2 of the 12 prompts were among the training prompts; without them HyperNoise scores "
        f"{own:.3f} [no interval] overall, random noise {base:.3f} [no interval]: "
        f"a paired difference of {gain:+.3f} [no interval] (p = {p_value:.3f})."
    )


def test_the_sentence_of_reno(told: Summary, hand: ByHand, work: str) -> None:
    whose = "FLOPs" if work == "tflops" else "generator passes (forward and backward)"
    reno = hand.span(hand.gain("reno"))
    if told.shares is None:
        assert sentences(told)["share_of_reno"] == (
            f"ReNO's own difference to random noise, {signed(reno)}, cannot be told from zero, "
            "so no share of it is stated."
        )
        return
    gain = hand.span(lambda chosen: hand.gain("hypernoise")(chosen) / hand.gain("reno")(chosen))
    done, seconds = (
        ratio(hand, hand.level("hypernoise", cost(name)), hand.level("reno", cost(name)))
        for name in (work, "seconds")
    )
    assert sentences(told)["share_of_reno"] == (
        f"That is {percent(gain)} of ReNO's gain ({signed(reno)}), "
        f"at {percent(done)} of its {whose} and {percent(seconds)} of its seconds."
    )


def test_the_sentences_of_search_and_controls(told: Summary, hand: ByHand) -> None:
    names = ("best-of-2", *NAMES)
    p_values = holm_by_hand({name: hand.p_value("hypernoise", name) for name in names})
    gains = {name: hand.span(hand.gain("hypernoise", name)) for name in names}
    rival = gains["best-of-2"]
    assert sentences(told)["against_best_of_2"] == (
        "Against best-of-2, search at the same number of generator passes, HyperNoise differs by "
        f"{signed(rival)} (p = {p_values['best-of-2']:.3f}).{doubt(rival)}"
    )
    listed = "; ".join(
        f"{name} {signed(gains[label])}, p = {p_values[label]:.3f}" for label, name in NAMES.items()
    )
    assert sentences(told)["over_controls"] == f"HyperNoise minus each control: {listed}."


def test_the_sentence_of_the_equivalent_search(told: Summary, hand: ByHand) -> None:
    estimate, low, high = hand.span(equivalent_to_hypernoise(hand))
    assert 1 < estimate < math.inf
    lowest = "1" if low == 1 else f"{low:.1f}"
    highest = "more than 50" if high == math.inf else f"{high:.1f}"
    assert sentences(told)["equivalent_best_of_n"] == (
        f"Best-of-N reaches HyperNoise's score at N ≈ {estimate:.1f} [{lowest} to {highest}], "
        "read off the measured curve, linear in log N."
    )


def test_the_sentence_of_held_out_rewards(told: Summary, hand: ByHand) -> None:
    moved = {}
    for name in ("optimised", "shapes-resnet", "redness"):
        base = [
            v for samples in hand.values("random", reward(name)).values() for v in samples.values()
        ]
        gain = hand.span(hand.gain("hypernoise", of=reward(name)))
        moved[name] = spanned(gain, "{:+.2f}", 1 / deviation(base))
    assert sentences(told)["held_out_rewards"] == (
        "In standard deviations of random noise's rewards, HyperNoise moves the optimised "
        f"reward by {moved['optimised']} and the held-out shapes-resnet by "
        f"{moved['shapes-resnet']}, redness by {moved['redness']}."
    )


def test_the_sentence_of_what_is_paid_back(told: Summary, hand: ByHand, paid_in: str) -> None:
    work, seconds = (
        hand.level("reno", cost(name))(hand.prompts)
        - hand.level("hypernoise", cost(name))(hand.prompts)
        for name in (paid_in, "seconds")
    )
    took, unit = {
        "tflops": ("4.32 PFLOP", "FLOPs"),
        "generator_passes": ("900,000 generator passes", "generator passes"),
    }[paid_in]
    assert sentences(told)["break_even"] == (
        f"Training HyperNoise took {took}; against ReNO that is paid back after "
        f"{math.ceil(TRAINED[paid_in] / work):,} images in {unit} and after "
        f"{math.ceil(312 / seconds):,} images in seconds."
    )


def cells(text: str, header: str) -> dict[str, list[str]]:
    """The rows of the table under a header, by method; ** and ⚠ are left out."""
    lines = text[text.index(header) :].splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| method"))
    found = {}
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        name, *others = (cell.strip() for cell in line.strip("|").split("|"))
        found[name.strip("*")] = others
    return found


def p_cell(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def test_the_columns_of_the_text_have_the_adjusted_p_values(
    told: Summary, hand: ByHand, folder: Path
) -> None:
    names = {label: label for label in SEARCHED}
    names |= {"reno": "ReNO", "hypernoise": "HyperNoise", **NAMES}
    text = markdown(told, {}, [])
    for header, analysed in (
        ("## Methods", hand),
        ("Without them, 10 prompts", ByHand.of(folder, without=SEEN)),
    ):
        adjusted = holm_by_hand({label: analysed.p_value(label) for label in OTHERS})
        table = cells(text, header)
        column = table["method"].index("p (Holm)")
        assert table["random noise"][column] == ""
        for label, name in names.items():
            assert table[name][column] == p_cell(adjusted[label])


def test_the_table_for_programs_has_the_adjusted_p_values(
    told: Summary, hand: ByHand, folder: Path
) -> None:
    frame = summary_frame(told)
    keys = zip(frame["label"], frame["metric"], strict=True)
    p_values = dict(zip(keys, frame["p_holm"].tolist(), strict=True))
    overall = holm_by_hand({label: hand.p_value(label) for label in OTHERS})
    left = ByHand.of(folder, without=SEEN)
    unseen = holm_by_hand({label: left.p_value(label) for label in OTHERS})
    tags = holm_by_hand(
        {(label, tag): hand.p_value(label, tags=[tag]) for label in OTHERS for tag in TAGS}
    )
    minus = holm_by_hand({name: hand.p_value("hypernoise", name) for name in ("best-of-2", *NAMES)})
    expected = {(label, "gain/overall"): value for label, value in overall.items()}
    expected |= {(label, "unseen/gain/overall"): value for label, value in unseen.items()}
    expected |= {(label, f"gain/tag/{tag}"): value for (label, tag), value in tags.items()}
    expected |= {("hypernoise", f"minus/{name}"): value for name, value in minus.items()}
    assert {
        key: value for key, value in p_values.items() if not math.isnan(value)
    } == pytest.approx(expected)


def test_p_values_by_tag_are_adjusted_over_all_labels_and_tags(tmp_path: Path) -> None:
    """With 12 prompts a tag, some are clear enough for the adjustment to be less than 1."""
    folder = write_run(
        tmp_path / "run", ("random", "best-of-50", "reno", "hypernoise"), prompts_per_tag=12
    )
    hand, rows = ByHand.of(folder), summarise_runs([folder]).rows
    others = [label for label in rows if label != "random"]
    raw = {(label, tag): hand.p_value(label, tags=[tag]) for label in others for tag in TAGS}
    adjusted = holm_by_hand(raw)
    assert sum(raw[key] < adjusted[key] < 1 for key in raw) >= 3
    found = {(label, tag): rows[label].tag_p_holm[tag] for label in others for tag in TAGS}
    assert found == pytest.approx(adjusted)
