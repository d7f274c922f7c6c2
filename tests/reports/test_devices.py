"""Seconds of different devices are never mixed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hnbench.reports.headlines import headlines
from hnbench.reports.markdown import markdown
from hnbench.reports.notes import timing_notes
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.tables import console_table
from hnbench.runs.store import read_run
from tests.journals import change_journal
from tests.reports.synthetic import write_run

LABELS = ("random", "reno", "hypernoise")
FAST, SLOW = "Some GPU", "Some CPU"


def run_on(folder: Path, slow: dict[str, set[int]]) -> Path:
    """A run whose records are those of the slow device for these samples of a label. The slow
    device takes exactly 1000 seconds for each image, so a single one of them would show.
    """
    write_run(folder, labels=LABELS, prompts_per_tag=4, samples=4)

    def change(row: dict[str, object]) -> dict[str, object]:
        late = row["sample"] in slow.get(str(row["label"]), ())
        cost = {**row["cost"], "device": SLOW if late else FAST}  # type: ignore[dict-item]
        return {**row, "schema": 3, "cost": {**cost, "seconds": 1000.0} if late else cost}

    for path in folder.glob("journal-*"):
        change_journal(path, change)
    return folder


def seconds(summary: Summary) -> dict[str, float]:
    return {label: row.costs["seconds"].estimate for label, row in summary.rows.items()}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    slow = {label: {1} for label in LABELS}
    return summarise_runs([run_on(tmp_path_factory.mktemp("runs") / "mixed", slow)])


def test_the_seconds_are_those_of_the_device_with_the_most_records(mixed: Summary) -> None:
    assert mixed.pool.timed_on == FAST
    assert mixed.pool.timed_elsewhere == {SLOW: 3 * 24}
    assert max(seconds(mixed).values()) < 10
    # By hand: the mean over tags of the mean over the other samples.
    for label, found in seconds(mixed).items():
        frame = mixed.pool.frame[(mixed.pool.frame["label"] == label)]
        kept = frame[frame["sample"] != 1]
        by_prompt = kept.groupby("tag")["seconds"].mean()
        assert found == pytest.approx(by_prompt.mean())


def test_nothing_else_depends_on_the_device(tmp_path: Path, mixed: Summary) -> None:
    alone = summarise_runs([run_on(tmp_path / "alone", {})])
    for label, row in alone.rows.items():
        assert mixed.rows[label].overall == row.overall
        assert mixed.rows[label].costs["generator_passes"] == row.costs["generator_passes"]
    assert timing_notes(alone) == []


def test_the_report_says_which_device_and_how_many_were_left_out(mixed: Summary) -> None:
    (sentence,) = timing_notes(mixed)
    assert sentence == (
        "Seconds are those of one device, Some GPU. Records that were measured on another device"
        " are left out of them: Some CPU (72)."
    )
    assert sentence in markdown(mixed, {}, ())
    assert "Some CPU (72)" in str(console_table(mixed).caption).replace("\n", " ")


def test_a_label_without_records_there_has_no_seconds(tmp_path: Path) -> None:
    one = summarise_runs([run_on(tmp_path / "run", {"reno": set(range(4))})])
    found = seconds(one)
    assert math.isnan(found["reno"])
    assert not np.isnan([found["random"], found["hypernoise"]]).any()
    assert timing_notes(one)[0].endswith("So there are none for ReNO.")
    assert [math.isnan(item.by_seconds) for item in one.break_even] == [True]
    told = {item.key: item.sentence for item in headlines(one)}
    assert "unknown number of images in seconds" in told["break_even"]
    assert markdown(one, {}, ())


def test_a_few_records_decide_if_all_others_are_of_more_devices(tmp_path: Path) -> None:
    slow = {label: {0, 1, 2} for label in LABELS}
    one = summarise_runs([run_on(tmp_path / "run", slow)])
    assert one.pool.timed_on == SLOW
    assert set(seconds(one).values()) == {1000.0}


def test_records_that_do_not_name_a_device_are_of_one(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "old", labels=LABELS, prompts_per_tag=2, samples=2)
    assert {record.cost.device for record in read_run(folder).records} == {""}
    one = summarise_runs([folder])
    assert (one.pool.timed_on, one.pool.timed_elsewhere, timing_notes(one)) == ("", {}, [])
    assert not np.isnan(list(seconds(one).values())).any()
