"""Shards and merges at the command line: what is said, and who writes the results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Hnbench
from tests.cli.test_app import RUN as ON_TOYS

RUN = [*ON_TOYS, "--method", "best-of-n:n=2", "--full"]
"""6 prompts of 2 samples, and 2 labels: 24 records."""


@pytest.fixture
def parts(hnbench: Hnbench) -> tuple[str, str]:
    for number in (1, 2):
        hnbench(*RUN, "--shard", f"{number}/2", "--out", f"part{number}")
    return "part1", "part2"


def test_the_last_shard_writes_the_report(
    hnbench: Hnbench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = hnbench(*RUN, "--shard", "2/2", "--out", "run")
    assert first.exit_code == 0
    said = " ".join(first.stderr.split())
    assert "shard 2 of 2 done: 12 of 12 records; the run has 12 of 24" in said
    assert "12 records are missing: the last shard to end writes the results" in said
    assert first.stdout == ""
    assert not (tmp_path / "run" / "report").exists()
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    last = hnbench(*RUN, "--out", "run")
    said = " ".join(last.stderr.split())
    assert "hnbench: shard 1 of 2, from RANK and WORLD_SIZE" in said
    assert "shard 1 of 2 done: 12 of 12 records; the run has 24 of 24" in said
    assert "missing" not in said
    assert (tmp_path / "run" / "report" / "report.md").is_file()
    assert "The report: " in last.stdout
    whole = hnbench(*RUN, "--out", "run", "--shard", "1/1")
    assert "all 24 samples are already done" in whole.stderr
    monkeypatch.setenv("RANK", "2")
    refused = hnbench(*RUN, "--out", "run")
    assert refused.exit_code == 2
    assert "the environment variable RANK is '2'" in refused.stderr
    assert "Unset it if no launcher" in refused.stderr


def test_merge_says_what_there_is(
    hnbench: Hnbench,
    tmp_path: Path,
    parts: tuple[str, str],
) -> None:
    one = hnbench("merge", parts[1], "--out", "merged")
    assert one.exit_code == 0
    assert "merged has 12 of 24 records: 1 journals and 12 images were added" in one.stdout
    both = hnbench("merge", *parts, "--out", "merged")
    assert "merged has 24 of 24 records: 1 journals and 12 images were added" in both.stdout
    assert hnbench("report", "merged", "--check").exit_code == 0
    shutil.rmtree(tmp_path / "merged")
    image = next((tmp_path / parts[0] / "images").rglob("*.png"))
    image.write_bytes(b"")
    damaged = hnbench("merge", *parts, "--out", "merged")
    assert damaged.exit_code == 3
    assert "images that no folder has as they were written: 1, such as images/" in damaged.stderr
    assert "merged has 23 of 24 records" in damaged.stdout
    assert hnbench(*RUN, "--out", "merged").exit_code == 0
    assert hnbench("report", "merged", "--check").exit_code == 0
    other = hnbench("merge", *parts, "results", "--out", "merged")
    assert other.exit_code == 4
    assert "results is not a run folder" in other.stderr


def test_verdicts_and_values_of_the_parts_are_not_computed_again(
    hnbench: Hnbench, parts: tuple[str, str]
) -> None:
    score = ("--suite", "toy-suite", "--device", "cpu")
    measure = ("--measure", "lpips", "--device", "cpu")
    for part in parts:
        assert hnbench("score", part, "--partial", *score).exit_code == 0
        assert hnbench("measure", part, "--partial", *measure).exit_code == 0
    merged = hnbench("merge", *parts, "--out", "merged")
    assert merged.exit_code == 0
    assert "lines of verdicts and measured values were added" in " ".join(merged.stdout.split())
    assert "all 24 images have their verdicts" in " ".join(
        hnbench("score", "merged", *score).stderr.split()
    )
    again = hnbench("measure", "merged", *measure)
    assert "nothing new to measure" in " ".join(again.stderr.split())


def test_the_last_shard_of_score_and_of_measure_writes_the_results(
    hnbench: Hnbench,
    tmp_path: Path,
    parts: tuple[str, str],
) -> None:
    hnbench("merge", *parts, "--out", "run")
    for command, results in (
        (["score", "run", "--suite", "toy-suite", "--device", "cpu"], "results.jsonl"),
        (["measure", "run", "--measure", "lpips", "--device", "cpu"], "journal-2-of-2.jsonl"),
    ):
        first = hnbench(*command, "--shard", "1/2", "--out", "out")
        assert first.exit_code == 0, first.stderr
        assert "the last shard to end writes the results" in " ".join(first.stderr.split())
        assert first.stdout == ""
        assert not (tmp_path / "out" / results).exists()
        last = hnbench(*command, "--shard", "2/2", "--out", "out")
        assert last.exit_code == 0, last.stderr
        assert "writes the results" not in last.stderr
        assert (tmp_path / "out" / results).is_file()
        whole = hnbench(*command, "--out", "whole")
        assert whole.stdout.replace("whole", "out").split(":")[0] == last.stdout.split(":")[0]
        assert hnbench(*command, "--out", "out").stdout.split(":")[0] == last.stdout.split(":")[0]
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(tmp_path / "whole")
