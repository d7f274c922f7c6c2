"""The table of goals in docs/speed.md says what the files in results/benchmarks say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import goals


def test_the_page_has_the_numbers_of_the_files() -> None:
    page = goals.PAGE.read_text(encoding="utf-8")
    assert goals.with_table(page, goals.table()) == page


def test_a_row_is_read_from_its_file(tmp_path: Path) -> None:
    values = {"median": 4.0625, "min": 3.0, "max": 5.5}
    result = {"over": {"published": values, "text kept": values}, "threads": 2, "repeats": 5}
    (tmp_path / "reno.json").write_text(json.dumps(result))
    (tmp_path / "cuda.json").write_text(json.dumps({"reno_over_published": {"sd-turbo": 18.5}}))
    rows = goals.table(tmp_path).splitlines()
    assert rows[2] == (
        "| ReNO, samples/s over the published loop | 5 | 4.06 (3.00 to 5.50) | 5 | 2 |"
        " `python -m benchmarks.reno` |"
    )
    assert "| not measured |  |  | `OMP_NUM_THREADS=1 python -m benchmarks.overhead" in rows[11]
    assert "| 15 | 18.50 |  |  |" in rows[-1]


@pytest.mark.parametrize("page", ["no table", f"{goals.BEGIN}rows"])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="around the table"):
        goals.with_table(page, "rows")


def test_a_benchmark_runs_in_its_own_process_and_its_json_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], str | None]] = []

    def run(command: list[str], **about: Any) -> subprocess.CompletedProcess[bytes]:
        calls.append((command, about["env"].get("OMP_NUM_THREADS")))
        return subprocess.CompletedProcess(command, 0, stdout=b'{"a": 1}')

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    goals.run(goals.OVERHEAD, tmp_path)
    goals.run(goals.RENO, tmp_path)
    python = [sys.executable, "-m"]
    arguments = ["benchmarks.overhead", "--limit", "42"]
    assert calls == [([*python, *arguments], "1"), ([*python, "benchmarks.reno"], None)]
    assert json.loads((tmp_path / "overhead.json").read_text()) == {"a": 1}


def test_every_benchmark_of_the_table_is_a_module() -> None:
    names = {goal.benchmark.name for goal in goals.GOALS}
    assert all((goals.ROOT / "benchmarks" / f"{name}.py").is_file() for name in names)
    assert "cuda" not in goals.BENCHMARKS
