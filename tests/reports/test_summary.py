from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hnbench.reports.costs import costs_of
from hnbench.reports.markdown import markdown
from hnbench.reports.pool import pool_runs
from hnbench.reports.summary import Summary, summarise, summarise_runs
from hnbench.reports.tables import records_frame, summary_frame
from hnbench.runs.store import read_run
from tests.journals import change_journal
from tests.reports.synthetic import LABELS, TAGS, write_run


@pytest.fixture(scope="module")
def table(run_folder: Path) -> pd.DataFrame:
    """The records read apart from the package's own conversion."""
    records = read_run(run_folder).records
    rows = [
        (r.label, r.tag, r.prompt_id, r.sample, r.verdict.correct, r.rewards["optimised"])
        for r in records
        if r.verdict
    ]
    return pd.DataFrame(rows, columns=["label", "tag", "prompt", "sample", "correct", "optimised"])


def mean_of_tag_means(table: pd.DataFrame, label: str, column: str = "correct") -> float:
    return float(table[table["label"] == label].groupby("tag")[column].mean().mean())


@pytest.mark.parametrize("label", LABELS)
def test_overall_is_the_mean_of_the_tag_means(
    summary: Summary, table: pd.DataFrame, label: str
) -> None:
    row = summary.rows[label]
    assert row.overall.estimate == pytest.approx(mean_of_tag_means(table, label))
    assert row.overall.low < row.overall.estimate < row.overall.high
    assert row.gain.estimate == pytest.approx(
        mean_of_tag_means(table, label) - mean_of_tag_means(table, "random"), abs=1e-12
    )
    assert row.rewards["optimised"].estimate == pytest.approx(
        mean_of_tag_means(table, label, "optimised")
    )
    for tag in TAGS:
        chosen = table[(table["label"] == label) & (table["tag"] == tag)]
        assert row.tags[tag].estimate == pytest.approx(chosen["correct"].mean())


def test_pairing_narrows_the_difference(summary: Summary) -> None:
    row, base = summary.rows["best-of-2"], summary.rows["random"]
    unpaired = math.hypot(row.overall.high - row.overall.low, base.overall.high - base.overall.low)
    assert row.gain.high - row.gain.low < 0.9 * unpaired


def test_the_base_is_compared_with_nothing(summary: Summary) -> None:
    base = summary.rows["random"]
    assert base.gain.estimate == base.gain.low == base.gain.high == 0
    assert math.isnan(base.p_holm)
    assert all(math.isnan(p) for p in base.tag_p_holm.values())


def test_standard_gains_are_in_units_of_the_base(summary: Summary, table: pd.DataFrame) -> None:
    unit = table.loc[table["label"] == "random", "optimised"].std()
    gain = mean_of_tag_means(table, "reno", "optimised") - mean_of_tag_means(
        table, "random", "optimised"
    )
    assert summary.rows["reno"].standard_gains["optimised"].estimate == pytest.approx(gain / unit)


def test_shares_of_reno(summary: Summary, table: pd.DataFrame) -> None:
    base, own, reno = (
        mean_of_tag_means(table, label) for label in ("random", "hypernoise", "reno")
    )
    assert summary.shares
    assert summary.shares.gain.estimate == pytest.approx((own - base) / (reno - base))
    assert summary.shares.costs["generator_passes"].estimate == pytest.approx(2 / (50 + 49))


def test_no_share_of_a_gain_that_may_be_none(tmp_path: Path) -> None:
    labels = ("random", "reno", "hypernoise")
    run = write_run(tmp_path / "run", labels, prompts_per_tag=2, samples=1)
    summary = summarise_runs([run])
    assert not summary.rows["reno"].gain.excludes_zero
    assert summary.shares is None


def test_comparisons_are_paired_and_adjusted(summary: Summary, table: pd.DataFrame) -> None:
    assert [one.against for one in summary.comparisons] == [
        "best-of-2",
        "finetune",
        "hypernoise-random-direction",
        "hypernoise-other-noise",
    ]
    for one in summary.comparisons:
        assert one.gain.estimate == pytest.approx(
            mean_of_tag_means(table, "hypernoise") - mean_of_tag_means(table, one.against),
            abs=1e-12,
        )
        assert 0 < one.p_holm <= 1


def test_break_even_by_hand(summary: Summary) -> None:
    assert summary.paid_in == "generator_passes"
    assert summary.training["hypernoise"]["generator_passes"] == 6e5 + 3e5
    by_label = {one.against: one for one in summary.break_even}
    assert by_label["best-of-2"].by_work == math.inf
    assert by_label["best-of-4"].by_work == 9e5 / (4 - 2)
    assert by_label["reno"].by_work == math.ceil(9e5 / (99 - 2))
    seconds = (
        summary.rows["reno"].costs["seconds"].estimate
        - summary.rows["hypernoise"].costs["seconds"].estimate
    )
    assert by_label["reno"].by_seconds == math.ceil(312 / seconds)


def test_coverage_counts_the_plan(gappy: Summary) -> None:
    planned = 6 * 6 * 2
    assert gappy.incomplete == ["random", "reno", "hypernoise"]
    coverage = {label: gappy.rows[label].coverage for label in gappy.rows}
    assert (
        coverage["reno"].planned,
        coverage["reno"].done,
        coverage["reno"].failed,
        coverage["reno"].missing,
    ) == (
        planned,
        planned - 1,
        1,
        0,
    )
    assert (coverage["hypernoise"].failed, coverage["hypernoise"].missing) == (0, 1)
    assert coverage["finetune"].complete


def test_a_sample_without_its_base_is_in_no_mean(gappy: Summary) -> None:
    """The gaps are all of the first sample of the first prompt: of every label, only the others are
    left.
    """
    pool = gappy.pool
    verdicts = pool.values("correct")
    verdicts[0] = np.nan
    for label, row in gappy.rows.items():
        assert row.pairs == row.coverage.planned - 1
        own = verdicts[:, pool.labels.index(label)]
        by_tag = [np.nanmean(own[pool.strata[pool.clusters] == at]) for at in range(len(pool.tags))]
        assert row.overall.estimate == pytest.approx(np.mean(by_tag))


def test_a_label_without_any_sample_is_not_measured(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", ("random", "reno"), prompts_per_tag=1, samples=1, failed=("random",)
    )
    journal = run / "journal-0000.jsonl"
    journal.write_text(
        "".join(
            line
            for line in journal.read_text().splitlines(keepends=True)
            if '"label":"random"' in line
        )
    )
    summary = summarise_runs([run])
    assert math.isnan(summary.rows["reno"].overall.estimate)
    assert summary.rows["reno"].coverage.missing == 6
    assert math.isnan(summary.rows["random"].overall.estimate)  # its one failure leaves a tag empty


def test_the_analysis_is_quick(tmp_path: Path) -> None:
    """The number of prompts decides, not that of samples; 480 is a full protocol."""
    pool = pool_runs(
        [
            write_run(
                tmp_path / "run", ("random", "reno", "hypernoise"), prompts_per_tag=80, samples=1
            )
        ]
    )
    start = time.process_time()
    summarise(pool)
    assert time.process_time() - start < 5


LABELS_OF_THREE = ("random", "reno", "hypernoise")


def test_work_is_operations_only_if_every_record_has_them(tmp_path: Path) -> None:
    counted, partly = (
        summarise_runs([write_run(tmp_path / name, LABELS_OF_THREE, uncounted=uncounted)])
        for name, uncounted in (("counted", ()), ("partly", ("reno",)))
    )
    assert list(counted.rows["reno"].costs) == ["tflops", "generator_passes", "seconds"]
    assert counted.rows["reno"].costs["tflops"].estimate == pytest.approx(
        (50 + 49) * 2e-3 + (50 + 49) * 3e-4
    )
    assert list(partly.rows["random"].costs) == ["generator_passes", "seconds"]
    assert (counted.work, partly.work) == ("tflops", "generator_passes")


def test_a_failure_without_operations_hides_nothing(tmp_path: Path) -> None:
    summary = summarise_runs(
        [write_run(tmp_path / "run", LABELS_OF_THREE, failed=("reno",), uncounted=())]
    )
    frame = summary.pool.frame
    frame.loc[frame["status"] == "failed", "tflops"] = math.nan
    assert costs_of(summary.pool)[0] == "tflops"


@pytest.mark.parametrize(
    ("devices", "known"), [(["cpu"], False), (["cuda"], True), (["cuda:1", "cpu"], False)]
)
def test_the_memory_of_a_whole_process_is_not_shown(
    tmp_path: Path, devices: list[str], *, known: bool
) -> None:
    """Records before schema 3 have it if the run was on a CPU."""
    sessions = [{"device": device} for device in devices]
    folder = write_run(tmp_path / "run", LABELS_OF_THREE, changes={"sessions": sessions})
    journal = folder / "journal-0000.jsonl"
    change_journal(journal, lambda row: {**row, "schema": 2})
    summary = summarise_runs([folder])
    memory = {label: row.peak_memory_bytes for label, row in summary.rows.items()}
    expected = [4e8, 6e8, 4e8] if known else [math.nan] * 3
    assert list(memory.values()) == pytest.approx(expected, nan_ok=True)
    assert ("peak memory, MiB" in markdown(summary, {}, [])) == known
    assert ("peak_memory_bytes" in records_frame(summary)) == known
    assert ("peak_memory_bytes" in set(summary_frame(summary)["metric"])) == known
    assert summary.pool.frame["peak_memory_bytes"].notna().any() == known
    assert read_run(folder).frame()["peak_memory_bytes"].notna().any() == known
