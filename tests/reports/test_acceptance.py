"""The acceptance of chains, from the record to the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.reports.sections import acceptance
from hnbench.reports.summary import summarise_runs
from hnbench.reports.tables import records_frame
from hnbench.runs.store import read_run
from tests.journals import journal_rows, write_journal
from tests.reports.synthetic import write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=1, samples=2)


def test_a_run_with_a_chain_has_a_section_and_a_column(folder: Path) -> None:
    rows = journal_rows(folder / "journal-0000.jsonl")
    for row in rows:
        if row["label"] == "reno":
            row["acceptance"] = 0.2 if row["sample"] else 0.5
    write_journal(folder / "journal-0000.jsonl", rows)
    summary = summarise_runs([folder])
    assert "| ReNO | 35% (20% to 50%) |" in acceptance.section(summary)
    assert "random" not in acceptance.section(summary)
    frame = records_frame(summary).set_index(["label", "sample"])["acceptance"]
    assert set(frame["reno", 0]) == {0.5}
    assert frame["random"].isna().all()
    assert {one.acceptance for one in read_run(folder).records} == {None, 0.2, 0.5}


def test_a_run_without_a_chain_has_neither(folder: Path) -> None:
    summary = summarise_runs([folder])
    assert acceptance.section(summary) == ""
    assert "acceptance" not in records_frame(summary)
    assert all("acceptance" not in one.to_json() for one in read_run(folder).records)
