"""Every title and axis of the plots, word for word, and the points, bars and lines that they name.

What is drawn is compared with made-up numbers, each another one, so a column, a unit or a method
in the wrong place is seen. Courses and noises come from the records, and are counted by hand.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnbench.reports.drawing import settings
from hnbench.reports.plots import PLOTS
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.stats.intervals import Interval
from tests.journals import change_journal, journal_rows
from tests.reports.made_up import LABELS, changed, made_up
from tests.reports.synthetic import TAGS, write_run

INF = math.inf
SHORT = {
    "random": "random",
    "best-of-2": "2",
    "best-of-8": "best-of-8",
    "reno": "ReNO",
    "hypernoise": "HyperNoise",
    "finetune": "fine-tuning",
    "hypernoise-random-direction": "random dir.",
    "hypernoise-other-noise": "other noise",
}
NAMES = {
    **SHORT,
    "random": "random noise",
    "best-of-2": "best-of-2",
    "finetune": "direct fine-tuning",
    "hypernoise-random-direction": "random direction (control)",
    "hypernoise-other-noise": "other noise (control)",
}
COLOURS = {
    "random": "#555555",
    "best-of-2": "#0072B2",
    "best-of-8": "#0072B2",
    "reno": "#D55E00",
    "hypernoise": "#009E73",
    "finetune": "#AA4499",
    "hypernoise-random-direction": "#B07D00",
    "hypernoise-other-noise": "#3A9BD9",
}
METHODS = LABELS[1:]
SCORE = "overall score (mean of tag means)\nwith 95% intervals"


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    with settings():
        yield


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return made_up(tmp_path_factory.mktemp("made-up") / "run")


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Without floating-point operations."""
    return made_up(tmp_path_factory.mktemp("uncounted") / "run", counted=False)


def drawn(summary: Summary, name: str) -> Any:
    figure = PLOTS[name](summary)
    assert not isinstance(figure, str), figure
    return figure


def title(summary: Summary, name: str) -> str:
    found: str = drawn(summary, name).get_suptitle()
    return found


def without(summary: Summary, *labels: str) -> Summary:
    rows = {label: row for label, row in summary.rows.items() if label not in labels}
    return replace(summary, rows=rows)


def named_points(axes: Any) -> dict[str, tuple[float, float]]:
    """Text -> the point that it names."""
    return {note.get_text(): (float(note.xy[0]), float(note.xy[1])) for note in axes.texts}


def bars(axes: Any) -> list[dict[str, Any]]:
    """Of every point with an interval: its place, its colour and the ends of its bars."""
    found = []
    for container in axes.containers:
        point, _, lines = container.lines
        one: dict[str, Any] = {
            "x": float(point.get_xdata()[0]),
            "y": float(point.get_ydata()[0]),
            "colour": point.get_color(),
        }
        for line in lines:
            ((x0, y0), (x1, y1)) = line.get_segments()[0]
            one["x span" if y0 == y1 else "y span"] = (x0, x1) if y0 == y1 else (y0, y1)
        found.append(one)
    return found


def span(interval: Interval) -> Any:
    return pytest.approx((interval.low, interval.high))


def line_of(axes: Any, style: str, points: int) -> tuple[list[float], list[float]]:
    (line,) = [
        line
        for line in axes.lines
        if line.get_linestyle() == style and len(line.get_xdata()) == points
    ]
    return [float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()]


# score against cost


def test_the_title_of_score_against_cost_states_scores_and_work(
    told: Summary, uncounted: Summary
) -> None:
    assert title(told, "quality_vs_cost") == (
        "HyperNoise gains +0.143 [+0.093, +0.203] over random noise at 2.32 times its FLOPs; "
        "ReNO +0.133 [+0.083, +0.193] at 1.99 times"
    )
    assert title(without(told, "reno"), "quality_vs_cost") == (
        "HyperNoise gains +0.143 [+0.093, +0.203] over random noise at 2.32 times its FLOPs"
    )
    assert title(uncounted, "quality_vs_cost") == (
        "HyperNoise gains +0.143 [+0.093, +0.203] over random noise at 3 times its generator "
        "passes; ReNO +0.133 [+0.083, +0.193] at 2.5 times"
    )
    assert title(without(told, "hypernoise"), "quality_vs_cost") == (
        "other noise (control) gains +0.173 [+0.123, +0.233] over random noise at 3.31 times its "
        "FLOPs; ReNO +0.133 [+0.083, +0.193] at 1.99 times"
    )
    assert title(without(told, *METHODS), "quality_vs_cost") == (
        "Random noise scores 0.501 [0.481, 0.531]"
    )


def test_a_title_says_if_its_interval_includes_zero(told: Summary) -> None:
    doubtful = changed(told, "hypernoise", gain=Interval(0.02, -0.01, 0.05))
    for name in ("quality_vs_cost", "task_gains"):
        assert title(doubtful, name).startswith(
            "HyperNoise gains +0.020 [-0.010, +0.050] (includes zero) over random noise"
        )
        assert "includes zero" not in title(told, name)


@pytest.mark.parametrize(
    ("column", "factor", "name"),
    [
        ("tflops", 1000, "GFLOP per image\n(log scale)"),
        (
            "generator_passes",
            1,
            "generator passes per image\n(forward + backward; log scale)",
        ),
    ],
)
def test_score_stands_against_work_and_against_seconds(
    told: Summary, uncounted: Summary, column: str, factor: float, name: str
) -> None:
    told = told if column == "tflops" else uncounted
    work, seconds = drawn(told, "quality_vs_cost").axes
    assert work.get_xlabel() == name
    assert seconds.get_xlabel() == "seconds per image\n(this machine; log scale)"
    assert work.get_ylabel() == SCORE
    for axes, cost, times in ((work, column, factor), (seconds, "seconds", 1)):
        assert axes.get_xscale() == "log"
        assert named_points(axes) == {
            SHORT[label]: (row.costs[cost].estimate * times, row.overall.estimate)
            for label, row in told.rows.items()
        }
        assert bars(axes) == [
            {
                "x": row.costs[cost].estimate * times,
                "y": row.overall.estimate,
                "colour": COLOURS[label],
                "y span": span(row.overall),
            }
            for label, row in told.rows.items()
        ]
        searched = [told.rows[label] for label in ("random", "best-of-2", "best-of-8")]
        assert line_of(axes, "-", 3) == (
            [row.costs[cost].estimate * times for row in searched],
            [row.overall.estimate for row in searched],
        )


# best-of-N


@pytest.mark.parametrize(
    ("equivalent", "text"),
    [
        (
            Interval(5.67, 4.0, 6.0),
            "Best-of-N reaches HyperNoise's score at N ≈ 5.7 [4.0 to 6.0]",
        ),
        (
            Interval(INF, 4.0, INF),
            "No best-of-N up to N = 8 reaches HyperNoise's score [4.0 to more than 8]",
        ),
        (
            Interval(1.0, 1.0, 2.0),
            "Random noise already reaches HyperNoise's score [N: 1 to 2.0]",
        ),
        (None, "Best-of-8 gains +0.123 [+0.073, +0.183] over random noise"),
    ],
)
def test_the_title_of_best_of_n(told: Summary, equivalent: Interval | None, text: str) -> None:
    assert title(replace(told, equivalent=equivalent), "best_of_n") == text


def test_the_curve_of_best_of_n_and_the_others_at_their_passes(told: Summary) -> None:
    (axes,) = drawn(told, "best_of_n").axes
    assert axes.get_xlabel() == (
        "generator passes per image (forward + backward; log scale; equal costs side by side)"
    )
    assert axes.get_ylabel() == SCORE
    assert axes.get_xscale() == "log"
    others = [label for label in LABELS if label != "random" and "best-of" not in label]
    curve = told.curve
    names = {1: "random noise", 2: "N = 2", 8: "best-of-8"}
    expected: Any = {names[number]: (float(number), one.estimate) for number, one in curve.items()}
    costs = {label: told.rows[label].costs["generator_passes"].estimate for label in others}
    places: dict[str, Any] = dict(costs)
    # This one has the cost of best-of-8 and its interval meets best-of-8's: it is drawn beside it.
    low, high = np.log10(axes.get_xlim())
    assert places["hypernoise-random-direction"] == 8
    places["hypernoise-random-direction"] = pytest.approx(8 * 10 ** (0.014 * (high - low)))
    for label in others:
        expected[NAMES[label]] = (places[label], told.rows[label].overall.estimate)
    assert named_points(axes) == expected
    assert line_of(axes, "-", 3) == ([1, 2, 8], [one.estimate for one in curve.values()])
    own = told.rows["hypernoise"]
    height = own.overall.estimate
    assert line_of(axes, ":", 2) == (
        [own.costs["generator_passes"].estimate, 5.67],
        [height, height],
    )
    assert bars(axes) == [
        {
            "x": places[label],
            "y": told.rows[label].overall.estimate,
            "colour": COLOURS[label],
            "y span": span(told.rows[label].overall),
        }
        for label in others
    ]
    band = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert {(n, one.low) for n, one in curve.items()} <= band
    assert {(n, one.high) for n, one in curve.items()} <= band


@pytest.mark.parametrize("equivalent", [1.0, INF])
def test_no_line_to_where_the_curve_does_not_reach(told: Summary, equivalent: float) -> None:
    other = replace(told, equivalent=Interval(equivalent, 1.0, INF))
    (axes,) = drawn(other, "best_of_n").axes
    assert ":" not in [line.get_linestyle() for line in axes.lines]


# gains by tag


def test_the_title_of_gains_by_tag_counts_whole_intervals(told: Summary) -> None:
    """Of the made-up intervals two are below zero, one is on both sides, three are above it."""
    assert title(told, "task_gains") == (
        "HyperNoise gains +0.143 [+0.093, +0.203] over random noise; "
        "interval above zero in 3 of 6 tags, below in 2"
    )
    assert title(without(told, "hypernoise"), "task_gains") == (
        "other noise (control) gains +0.173 [+0.123, +0.233] over random noise; "
        "interval above zero in 4 of 6 tags, below in 1"
    )


def test_gains_by_tag_have_a_panel_for_every_method(told: Summary) -> None:
    figure = drawn(told, "task_gains")
    assert figure.get_supxlabel() == "difference in score to random noise"
    *panels, spare = figure.axes
    assert not spare.axison
    assert [text.get_text() for text in spare.texts] == [
        "Point: mean difference\nLine: 95% interval\nPaired by prompt,\nsample and seed"
    ]
    full = drawn(without(told, "best-of-2", "best-of-8", "reno"), "task_gains")
    assert all(axes.axison for axes in full.axes)
    assert full.get_supxlabel() == (
        "difference in score to random noise, paired by prompt, sample and seed (95% intervals)"
    )
    assert [axes.get_title("left") for axes in panels] == [NAMES[label] for label in METHODS]
    names = ["single object", "two object", "counting", "colors", "position", "color attr"]
    for axes, label in zip(panels, METHODS, strict=True):
        gains = [*told.rows[label].tag_gains.values(), told.rows[label].gain]
        if axes.get_subplotspec().is_first_col():
            assert [tick.get_text() for tick in axes.get_yticklabels()] == [*names, "overall"]
        assert list(axes.get_yticks()) == list(range(7))
        assert bars(axes) == [
            {"x": gain.estimate, "y": at, "colour": COLOURS[label], "x span": span(gain)}
            for at, gain in enumerate(gains)
        ]


# optimised against held-out rewards


def test_the_title_of_what_carries_over(told: Summary) -> None:
    assert title(told, "optimised_vs_held_out") == (
        "HyperNoise gains +0.39 [+0.28, +0.61] sd in the optimised reward; held out: "
        "shapes-resnet +2.39 [+2.28, +2.61], redness +3.39 [+3.28, +3.61] sd"
    )
    assert title(without(told, "hypernoise"), "optimised_vs_held_out") == (
        "How far gains in the optimised reward carry over to rewards that nobody optimised"
    )


def test_held_out_gains_stand_against_the_optimised_one(told: Summary) -> None:
    panels = drawn(told, "optimised_vs_held_out").axes
    assert [axes.get_title("left") for axes in panels] == ["shapes-resnet", "redness"]
    for axes, name in zip(panels, ("shapes-resnet", "redness"), strict=True):
        assert axes.get_xlabel() == "gain in the optimised reward (sd of random noise)"
        assert axes.get_ylabel() == "gain in the held-out reward (sd)"
        gains = {label: told.rows[label].standard_gains for label in METHODS}
        assert named_points(axes) == {
            SHORT[label]: (one["optimised"].estimate, one[name].estimate)
            for label, one in gains.items()
        }
        assert bars(axes) == [
            {
                "x": one["optimised"].estimate,
                "y": one[name].estimate,
                "colour": COLOURS[label],
                "x span": span(one["optimised"]),
                "y span": span(one[name]),
            }
            for label, one in gains.items()
        ]


# courses


def courses(summary: Summary, label: str) -> list[list[float]]:
    rows = journal_rows(summary.pool.folders[0] / "journal-0000.jsonl")
    return [row["trajectory"] for row in rows if row["label"] == label]


def best_so_far(course: list[float]) -> list[float]:
    return [max(course[: at + 1]) for at in range(len(course))]


def medians(found: list[list[float]]) -> list[float]:
    return [statistics.median(step) for step in zip(*found, strict=True)]


def median_reward(summary: Summary) -> float:
    rows = journal_rows(summary.pool.folders[0] / "journal-0000.jsonl")
    own = [row["rewards"]["optimised"] for row in rows if row["label"] == "hypernoise"]
    return float(statistics.median(own))


def test_the_title_of_courses_says_when_reno_reaches_hypernoise(told: Summary) -> None:
    best, own = medians(list(map(best_so_far, courses(told, "reno")))), median_reward(told)
    iteration = next(at for at, value in enumerate(best, start=1) if value >= own)
    assert 2 < iteration < 50
    assert title(told, "trajectories") == (
        f"ReNO reaches HyperNoise's optimised reward at iteration {iteration} (medians)"
    )
    assert title(without(told, "hypernoise"), "trajectories") == (
        "The optimised reward in the course of the search"
    )
    assert title(without(told, "reno"), "trajectories") == (
        "The optimised reward in the course of the search"
    )


def test_the_title_of_courses_where_reno_never_reaches_hypernoise(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ("random", "reno", "hypernoise"), prompts_per_tag=2)

    def raised(row: dict[str, Any]) -> dict[str, Any]:
        more = 100 * (row["label"] == "hypernoise")
        rewards = {name: value + more for name, value in row["rewards"].items()}
        return {**row, "rewards": {**rewards, "optimised": 2 * rewards["shapes-clip"]}}

    change_journal(folder / "journal-0000.jsonl", raised)
    assert title(summarise_runs([folder]), "trajectories") == (
        "ReNO does not reach HyperNoise's optimised reward in 50 iterations"
    )


def test_courses_are_medians_over_the_samples(told: Summary) -> None:
    left, right = drawn(told, "trajectories").axes
    assert left.get_title("left") == "ReNO"
    assert right.get_title("left") == "best-of-N"
    assert left.get_xlabel() == "iteration (one forward, one backward pass)"
    assert right.get_xlabel() == "candidates drawn (one forward pass each)"
    assert left.get_ylabel() == "optimised reward: median, quartiles shaded"
    reno, search = courses(told, "reno"), courses(told, "best-of-8")
    own = median_reward(told)
    for axes, found in ((left, reno), (right, search)):
        steps = list(range(1, len(found[0]) + 1))
        x, y = line_of(axes, "-", len(steps))
        assert x == steps
        assert y == pytest.approx(medians(list(map(best_so_far, found))))
        assert line_of(axes, ":", 2)[1] == [pytest.approx(own)] * 2
    assert line_of(left, "--", 50)[1] == pytest.approx(medians(reno))
    assert set(named_points(left)) == {"best so far", "this iteration", "HyperNoise"}
    assert set(named_points(right)) == {"best so far", "HyperNoise"}
    assert named_points(left)["HyperNoise"][1] == pytest.approx(own)
    assert named_points(left)["this iteration"] == pytest.approx((28, medians(reno)[27]))
    quartiles = left.collections[0].get_paths()[0].vertices
    for step in (1, 25, 50):
        values = sorted(course[step - 1] for course in reno)
        for share in (0.25, 0.75):
            edge = [step, float(np.quantile(values, share))]
            # A table has the courses in float32.
            assert min(float(np.abs(point - edge).max()) for point in quartiles) < 1e-6


# noise


def noise_of(summary: Summary, label: str, column: str) -> list[float]:
    rows = journal_rows(summary.pool.folders[0] / "journal-0000.jsonl")
    return [row[column] for row in rows if row["label"] == label]


def shell_of(summary: Summary) -> float:
    """The root of the mean squared norm of the base's noises."""
    norms = noise_of(summary, "random", "noise_norm")
    return math.sqrt(statistics.fmean(norm**2 for norm in norms))


@pytest.mark.parametrize(("factor", "side"), [(1.0, "above"), (0.9, "below")])
def test_the_title_of_noise_says_how_far_it_is_from_the_shell(
    tmp_path: Path, factor: float, side: str
) -> None:
    folder = write_run(tmp_path / "run", ("random", "hypernoise"), prompts_per_tag=2)

    def scaled(row: dict[str, Any]) -> dict[str, Any]:
        own = factor if row["label"] == "hypernoise" else 1.0
        return {**row, "noise_norm": row["noise_norm"] * own}

    change_journal(folder / "journal-0000.jsonl", scaled)
    summary = summarise_runs([folder])
    median = statistics.median(noise_of(summary, "hypernoise", "noise_norm"))
    share = 100 * abs(median / shell_of(summary) - 1)
    assert title(summary, "noise") == (
        f"HyperNoise's noise has a median norm {share:.1f}% {side} √d, that of Gaussian noise"
    )
    assert title(without(summary, "hypernoise"), "noise") == (
        "How far the chosen noise lies from the shell of Gaussian noise"
    )


def test_norms_stand_left_and_distances_right(told: Summary) -> None:
    left, right = drawn(told, "noise").axes
    assert left.get_xlabel() == (
        "norm of the chosen noise\n(line: median; box: quartiles; whiskers: 5 to 95%)"
    )
    assert right.get_xlabel() == (
        "distance from the starting noise (L2)\nof the noises that were changed"
    )
    assert right.get_title("right") == "share of noises changed"
    changed_shares = {"random": "0%", "finetune": "0%"}
    assert [tick.get_text() for tick in right.get_yticklabels()] == [
        changed_shares.get(label, "100%") for label in LABELS
    ]
    assert [tick.get_text() for tick in left.get_yticklabels()] == [NAMES[one] for one in LABELS]
    shell = shell_of(told)
    named = named_points(left)
    assert named.keys() == {f"√d ≈ {shell:.1f}"}
    assert next(iter(named.values())) == pytest.approx((shell, -0.9))
    assert line_of(left, "--", 2)[0] == [pytest.approx(shell)] * 2
    for axes, column in ((left, "noise_norm"), (right, "displacement")):
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        moving = column == "displacement"
        shown = [label for label in LABELS if not moving or label not in changed_shares]
        for place, label in enumerate(shown):
            at = LABELS.index(label)
            values = noise_of(told, label, column)
            whiskers, box, middle = lines[3 * place : 3 * place + 3]
            shares = [0.05, 0.25, 0.5, 0.75, 0.95]
            low, first, median, third, high = np.quantile(values, shares)
            assert list(whiskers.get_xdata()) == pytest.approx([low, high])
            assert list(box.get_xdata()) == pytest.approx([first, third])
            assert list(middle.get_xdata()) == pytest.approx([median, median])
            assert list(whiskers.get_ydata()) == [at, at]
            assert {line.get_color() for line in (whiskers, box, middle)} == {COLOURS[label]}


def test_noises_that_a_search_kept_are_a_share_and_not_a_distance(tmp_path: Path) -> None:
    """Best-of-2 keeps its first noise in every fourth sample here; the others moved by 19.6."""
    folder = write_run(tmp_path / "run", ("random", "best-of-2"), prompts_per_tag=2)
    count = iter(range(1000))

    def kept(row: dict[str, Any]) -> dict[str, Any]:
        if row["label"] == "best-of-2" and next(count) % 4 == 0:
            return {**row, "displacement": 0.0}
        return row

    change_journal(folder / "journal-0000.jsonl", kept)
    _, right = drawn(summarise_runs([folder]), "noise").axes
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["0%", "75%"]
    (whiskers, box, middle) = right.lines
    for line in (whiskers, box, middle):
        assert list(line.get_xdata()) == pytest.approx([19.6, 19.6])
        assert set(line.get_ydata()) != {0}


# reasons for no plot


def test_why_a_plot_is_not_drawn(told: Summary) -> None:
    first = told.pool.manifests[0]
    suite = {**first["suite"], "judge": None}
    unjudged = replace(told, pool=replace(told.pool, manifests=({**first, "suite": suite},)))
    alone = without(told, *METHODS)
    nothing = {**alone.rows["random"].costs, "tflops": Interval(0, 0, 0)}
    free = changed(alone, "random", costs=nothing)
    rows = {label: replace(row, standard_gains={}) for label, row in told.rows.items()}
    bare = replace(told, rows=rows)
    reasons = {
        ("quality_vs_cost", "the suite has no judge"): unjudged,
        ("quality_vs_cost", "no method has a cost"): free,
        ("best_of_n", "the suite has no judge"): replace(unjudged, curve={}),
        ("best_of_n", "these runs have no best-of-N"): replace(told, curve={1: told.curve[1]}),
        ("task_gains", "the suite has no judge"): unjudged,
        ("task_gains", "these runs have no method but random noise"): alone,
        ("trajectories", "no method of these runs recorded any"): alone,
        ("optimised_vs_held_out", "these runs have no held-out reward that varies"): bare,
    }
    subjects = {
        "quality_vs_cost": "Quality against cost is",
        "best_of_n": "The best-of-N curve is",
        "task_gains": "The gains by tag are",
        "trajectories": "The trajectories are",
        "optimised_vs_held_out": "Optimised against held-out rewards is",
    }
    for (name, reason), summary in reasons.items():
        assert PLOTS[name](summary) == f"{subjects[name]} not drawn: {reason}."


def test_the_tags_of_the_made_up_numbers_are_the_suites(told: Summary) -> None:
    assert tuple(told.rows["reno"].tag_gains) == TAGS == told.pool.tags
