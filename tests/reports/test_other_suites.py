"""Reports of suites that grade, of suites without a judge, and of runs whose prompts were trained
on.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnbench.reports.headlines import headlines
from hnbench.reports.markdown import markdown
from hnbench.reports.report import summarise_runs, write
from hnbench.reports.summary import Summary
from hnbench.reports.tables import console_table, records_frame, summary_frame
from tests.journals import journal_rows, write_journal
from tests.reports.synthetic import LABELS, manifest, write_run

FEW = ("random", "best-of-2", "reno", "hypernoise")


def rewrite(folder: Path, verdict: Any) -> Path:
    """Replace every done record's verdict by `verdict(record)`."""
    path = folder / "journal-0000.jsonl"
    records = journal_rows(path)
    for record in records:
        record["verdict"] = verdict(record) if record["status"] == "done" else None
    write_journal(path, records)
    return folder


def grade(record: dict[str, Any]) -> float:
    return 0.2 + 0.6 * float(record["verdict"]["correct"]) + 0.1 * float(record["sample"] == 0)


@pytest.fixture(scope="module")
def graded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("graded") / "run", FEW, images=True)
    return rewrite(folder, lambda record: {"correct": None, "reason": "", "score": grade(record)})


@pytest.fixture(scope="module")
def graded(graded_folder: Path) -> Summary:
    return summarise_runs([graded_folder])


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("unjudged") / "run"
    suite = {**manifest(LABELS, 6, 2, 0)["suite"], "name": "parti", "judge": None}
    return summarise_runs(
        [
            rewrite(
                write_run(folder, failed=("reno",), images=True, changes={"suite": suite}),
                lambda _: None,
            )
        ]
    )


def test_the_score_of_a_suite_is_the_mean_of_its_grades(
    graded: Summary, graded_folder: Path
) -> None:
    rows = journal_rows(graded_folder / "journal-0000.jsonl")
    for label in FEW:
        by_tag: dict[str, list[float]] = {}
        for record in rows:
            if record["label"] == label:
                by_tag.setdefault(record["tag"], []).append(record["verdict"]["score"])
        assert graded.rows[label].overall.estimate == pytest.approx(
            np.mean([np.mean(values) for values in by_tag.values()])
        )
        assert (
            graded.rows[label].overall.low
            < graded.rows[label].overall.estimate
            < graded.rows[label].overall.high
        )
    assert 0 < graded.rows["reno"].p_holm <= 1


def test_grades_are_in_the_records_table(graded: Summary) -> None:
    frame = records_frame(graded)
    assert frame["score"].between(0.2, 0.9).all()
    assert frame["correct"].isna().all()


def test_a_judge_of_right_and_wrong_has_no_column_of_its_own_for_the_score(
    summary: Summary,
) -> None:
    assert "score" not in records_frame(summary)


def test_a_graded_report_has_frames_of_no_verdict(graded: Summary, tmp_path: Path) -> None:
    text = write(graded, tmp_path).read_text()
    assert "planned samples of all 4 methods are there and judged" in text
    assert (tmp_path / "grid.png").is_file()


def test_without_a_judge_there_are_rewards_only(unjudged: Summary, tmp_path: Path) -> None:
    assert not unjudged.pool.judged
    row = unjudged.rows["hypernoise"]
    assert math.isnan(row.overall.estimate)
    assert math.isnan(row.p_holm)
    assert row.reward_gains["optimised"].low > 0
    assert (unjudged.comparisons, unjudged.shares, unjudged.equivalent, unjudged.curve) == (
        (),
        None,
        None,
        {},
    )
    assert unjudged.rows["reno"].pairs == row.pairs - 1
    text = write(unjudged, tmp_path).read_text()
    assert "This suite has no judge, so there is no score." in text
    assert "overall [95%]" not in text
    assert "## By tag" not in text
    assert "| judge | none: rewards only |" in text
    assert "not measured" not in text
    assert not (tmp_path / "quality_vs_cost.png").exists()
    assert (tmp_path / "optimised_vs_held_out.png").exists()


def test_the_findings_without_a_judge(unjudged: Summary) -> None:
    found = {one.key: one.sentence for one in headlines(unjudged)}
    assert found["no_judge"].startswith("This suite has no judge")
    assert found["held_out_rewards"].startswith(
        "In standard deviations of random noise's rewards, HyperNoise moves the optimised reward"
        " by +"
    )
    assert "held_out_rewards/reno" in found
    assert "break_even" in found
    assert "gain" not in found


def test_the_tables_without_a_judge(unjudged: Summary) -> None:
    metrics = set(summary_frame(unjudged)["metric"])
    assert "reward/optimised" in metrics
    assert not [name for name in metrics if "overall" in name or "tag" in name]
    table = console_table(unjudged)
    assert [
        str(column.header).replace("-\n", "").replace("\n", " ") for column in table.columns
    ] == [
        "method",
        "optimised",
        "heldout",
        "passes /img",
        "s/img",
    ]


def trained(seen: list[str] | None) -> dict[str, Any]:
    entry = manifest(FEW, 6, 2, 0)["training"]["hypernoise"]
    return {"training": {"hypernoise": {**entry, "seen_prompts": seen}}}


def test_prompts_seen_in_training_are_counted_listed_and_left_out(tmp_path: Path) -> None:
    seen = ["colors/0001", "colors/0004", "counting/0000", "not/planned"]
    folder = write_run(tmp_path / "run", FEW, changes=trained(seen))
    summary = summarise_runs([folder])
    assert summary.seen == {"hypernoise": seen[:3]}
    assert summary.unseen
    records = journal_rows(folder / "journal-0000.jsonl")
    for label in FEW:
        tags: dict[str, list[bool]] = {}
        for record in records:
            if record["label"] == label and record["prompt_id"] not in seen:
                tags.setdefault(record["tag"], []).append(record["verdict"]["correct"])
        assert summary.unseen.rows[label].overall.estimate == pytest.approx(
            np.mean([np.mean(values) for values in tags.values()])
        )
    sentence = {one.key: one.sentence for one in headlines(summary)}["contamination"]
    assert sentence.startswith(
        "3 of the 36 prompts were among the training prompts; without them HyperNoise scores "
    )
    text = markdown(summary, {}, [])
    assert "- HyperNoise: 3 of the 36 prompts were among its training prompts." in text
    assert "- a photo of a red circle, colors 4" in text
    assert "Without them, 33 prompts x 2 samples x 1 base seed(s):" in text
    assert "unseen/gain/overall" in set(summary_frame(summary)["metric"])


def test_an_adapter_that_does_not_say_is_named(tmp_path: Path) -> None:
    summary = summarise_runs(
        [write_run(tmp_path / "run", FEW, prompts_per_tag=2, changes=trained(None))]
    )
    assert summary.unseen is None
    assert (
        "HyperNoise: its adapter does not say what it was trained on, so this was not checked."
        in markdown(summary, {}, [])
    )
    assert "contamination" not in {one.key for one in headlines(summary)}


def test_where_every_prompt_was_seen_no_score_is_left(tmp_path: Path) -> None:
    every = [prompt["id"] for prompt in manifest(FEW, 2, 2, 0)["plan"]["prompts"]]
    summary = summarise_runs(
        [write_run(tmp_path / "run", FEW, prompts_per_tag=2, changes=trained(every))]
    )
    assert summary.unseen is None
    assert {one.key: one.sentence for one in headlines(summary)}["contamination"].endswith(
        "no score is left without them."
    )


def test_older_runs_say_nothing_of_it(summary: Summary) -> None:
    assert summary.seen == {}
    assert "seen in training" not in markdown(summary, {}, [])


def test_an_early_report_of_prompts_that_were_all_seen_in_training(tmp_path: Path) -> None:
    """As while a run writes its first records."""
    seen = ["colors/0001", "colors/0004"]
    folder = write_run(tmp_path / "run", FEW, changes=trained(seen))
    rows = journal_rows(folder / "journal-0000.jsonl")
    write_journal(
        folder / "journal-0000.jsonl", [row for row in rows if row["prompt_id"] in seen][:2]
    )
    assert "Incomplete" in markdown(summarise_runs([folder]), {}, [])
