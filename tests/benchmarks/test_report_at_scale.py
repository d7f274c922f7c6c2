from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.reports.synthetic import LABELS, write_run

pytest.importorskip("resource", reason="Windows does not count a process's memory and time so")

from benchmarks.report_at_scale import alone, command, staged


def test_every_stage_of_a_report_is_made_and_measured(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prompts_per_tag=2, samples=1)
    out = tmp_path / "out"
    out.mkdir()
    rows = staged(run, out)
    assert list(rows) == ["read", "frame", "statistics", "csv", "plots"]
    assert all(row["seconds"] > 0 for row in rows.values())
    peaks = [row["peak_mb"] for row in rows.values()]
    assert peaks == sorted(peaks)
    assert 10 < peaks[0] < 10_000
    with (out / "records.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6 * 2 * len(LABELS)
    assert (out / "quality_vs_cost.svg").is_file()


def test_the_command_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=1, samples=1)
    row = alone(command, run, tmp_path / "report")
    assert (tmp_path / "report" / "report.md").is_file()
    assert row["seconds"] > 0.1
    assert 10 < row["peak_mb"] < 10_000
