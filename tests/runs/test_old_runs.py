"""A run of schema 1 is still read, counted and reported.

`tests/data/run-of-schema-1` is the `run.json` of this project's first reference run, as it was
written then, and 8 of its 2,016 records: two samples of one prompt by four methods. Its images are
not there.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from statistics import fmean

from hnbench.reports.summary import summarise_runs
from hnbench.reports.write import write_report
from hnbench.runs.coverage import cover
from hnbench.runs.plan import Plan
from hnbench.runs.record import SCHEMA, image_path
from hnbench.runs.store import RunStore, read_run

FOLDER = Path(__file__).parents[1] / "data" / "run-of-schema-1"
LABELS = ("random", "best-of-2", "reno", "hypernoise")
LINES = [json.loads(line) for line in (FOLDER / "journal-0000.jsonl").read_text().splitlines()]


def test_it_is_read_as_it_was_written() -> None:
    run = read_run(FOLDER)
    assert run.manifest == json.loads((FOLDER / "run.json").read_text())
    assert run.manifest["schema"] == 1 < SCHEMA
    assert run.unchecked == len(run.records) == 8
    for record, line in zip(run.records, LINES, strict=True):
        assert json.loads(json.dumps(record.to_json())) == line
    assert len(run.frame()) == 8


def test_its_records_are_counted_by_todays_ids() -> None:
    run = read_run(FOLDER)
    coverage = cover(Plan.from_manifest(run.manifest), run.records, FOLDER)
    assert coverage.expected == 12 * 168
    assert Counter(record.label for record in coverage.done) == dict.fromkeys(LABELS, 2)
    assert (len(coverage.failed), len(coverage.missing)) == (0, coverage.expected - 8)


def test_it_is_reported(tmp_path: Path) -> None:
    summary = summarise_runs([FOLDER])
    for label in LABELS:
        correct = [line["verdict"]["correct"] for line in LINES if line["label"] == label]
        row = summary.rows[label]
        assert (row.coverage.done, row.coverage.missing, row.pairs) == (2, 166, 2)
        assert row.tags["color_attr"].estimate == fmean(correct)
    text = write_report(summary, tmp_path).read_text()
    assert "INCOMPLETE: random noise has 2 of 168 planned samples (0 failed, 166 missing)" in text
    with (tmp_path / "records.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [line["id"] for line in LINES]


def test_new_records_go_next_to_the_old_ones(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FOLDER, folder)
    manifest = json.loads((FOLDER / "run.json").read_text())
    with RunStore(folder) as store:
        old = next(iter(store.records.values()))
        assert not store.is_done(old.id)  # its image is not there
        store.begin({**manifest, "schema": SCHEMA}, {"started": "2027-01-01T00:00:00+00:00"})
        store.save_image(old.id, b"an image")
        store.add(old)
        assert store.is_done(old.id)
    assert (folder / image_path(old.id)).is_file()
    assert (folder / "journal-0000.jsonl").read_bytes() == (
        FOLDER / "journal-0000.jsonl"
    ).read_bytes()
    again = read_run(folder)
    assert (len(again.records), again.unchecked) == (8, 8)
    assert len(again.manifest["sessions"]) == len(manifest["sessions"]) + 1
