"""Chosen prompts and the cost of a rewriter, from the record to the report and its page."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.sections import chosen_prompts
from hnbench.reports.summary import summarise_runs
from hnbench.reports.tables import records_frame, write_csv
from hnbench.runs.store import read_run
from tests.journals import journal_rows, write_journal
from tests.reports.synthetic import write_run

HOSTILE = "=1+1 <b>bold</b> | [x](javascript:alert(1))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=1, samples=2)


@pytest.fixture
def rewritten(folder: Path) -> Path:
    rows = journal_rows(folder / "journal-0000.jsonl")
    for row in rows:
        if row["label"] == "reno" and row["status"] == "done":
            row["chosen_prompt"] = HOSTILE if row["sample"] else row["prompt"]
            row["rewriter"] = {"calls": 10, "seconds": 1.5 + row["sample"], "dropped": 4}
            row["rewriter"] |= {"tokens": 300} if row["sample"] else {}
    write_journal(folder / "journal-0000.jsonl", rows)
    return folder


def test_a_run_with_a_rewriter_has_a_section_and_columns(rewritten: Path, tmp_path: Path) -> None:
    summary = summarise_runs([rewritten])
    text = chosen_prompts.section(summary)
    assert "| ReNO |  | 10 | 300 | 2 | 4 | 50% |" in text
    assert f"| {escaped(HOSTILE)} |" in text
    assert HOSTILE not in text
    frame = records_frame(summary)
    assert {"chosen_prompt", "rewriter_calls", "rewriter_tokens"} < set(frame)
    write_csv(frame, tmp_path / "records.csv")
    with (tmp_path / "records.csv").open(encoding="utf-8", newline="") as file:
        cells = {row["chosen_prompt"] for row in csv.DictReader(file)}
    assert f"'{HOSTILE}" in cells
    assert "" in cells
    assert HOSTILE not in cells
    chosen = {one.chosen_prompt for one in read_run(rewritten).records}
    assert {None, HOSTILE} < chosen


@pytest.mark.usefixtures("few_plots")
def test_the_page_has_the_prompt_of_each_image_as_text(rewritten: Path) -> None:
    from tests.reports.test_page import page_of

    page = page_of(rewritten)
    base, column = page.data["columns"]
    assert "chosen" not in base
    texts = page.data["texts"]
    assert {texts[place] for place in column["chosen"] if place >= 0} > {HOSTILE}
    assert not [one for one in page.elements if one.tag == "b"]


def test_a_run_without_a_rewriter_has_neither(folder: Path) -> None:
    summary = summarise_runs([folder])
    assert chosen_prompts.section(summary) == ""
    assert "chosen_prompt" not in records_frame(summary)
    for one in read_run(folder).records:
        assert not {"chosen_prompt", "rewriter"} & set(one.to_json())
