"""Several suites in one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hnbench.cli.several_suites import runs_of
from hnbench.errors import UsageError
from hnbench.runs.store import read_run
from tests.cli.conftest import Hnbench

TOYS = ("--generator", "toy", "--optimise", "brightness=1.0", "--hold-out", "red")


def test_each_suite_has_its_folder_in_out() -> None:
    out = Path("out")
    assert list(runs_of(["parti"], out)) == [("parti", out)]
    assert list(runs_of(["t2i-compbench:color", "x/c.txt"], out)) == [
        ("t2i-compbench:color", out / "t2i-compbench-color"),
        ("x/c.txt", out / "x_c.txt"),
    ]
    assert list(runs_of(["parti", "dpg"], None)) == [("parti", None), ("dpg", None)]


@pytest.mark.parametrize("suites", [["parti", "dpg", "parti"], ["x/c.txt", "x_c.txt"]])
def test_a_suite_twice_is_refused_before_any_run(suites: list[str]) -> None:
    with pytest.raises(UsageError, match="given twice, or its folder"):
        next(iter(runs_of(suites, None)))


def test_an_unknown_suite_is_refused_before_any_run() -> None:
    with pytest.raises(UsageError, match="unknown suite 'part'; did you mean 'parti'"):
        next(iter(runs_of(["dpg", "part"], None)))


def test_every_suite_is_run_planned_and_continued(hnbench: Hnbench, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("low 0\nhigh 1\n")
    both = ("--suite", "toy-suite", "--suite", "own.txt", *TOYS, "--method", "random")
    planned = hnbench("plan", *both, "--out", "out", "--json")
    assert planned.exit_code == 0, planned.output
    assert [one["folder"] for one in json.loads(planned.stdout)] == [
        "out/toy-suite",
        "out/own.txt",
    ]
    result = hnbench("run", *both, "--out", "out", "--no-report")
    assert result.exit_code == 0, result.output
    for name in ("toy-suite", "own.txt"):
        assert read_run(tmp_path / "out" / name).records
    assert hnbench("run", *both, "--out", "out").output.count("already done") == 2


def test_samples_that_fail_do_not_keep_the_next_suite_from_running(
    hnbench: Hnbench, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text("high 0\n")
    (tmp_path / "other.txt").write_text("high 1\n")
    both = ("--suite", "own.txt", "--suite", "other.txt", *TOYS, "--method", "failing")
    result = hnbench("run", *both, "--out", "out", "--no-report")
    assert result.exit_code == 3
    assert result.output.count("samples failed") == 2
    assert read_run(tmp_path / "out" / "other.txt").records
