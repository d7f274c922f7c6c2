"""With --json, stdout is one JSON document and nothing else."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hnbench.cli.json_output import print_json, rows
from tests.cli.conftest import Hnbench

pytestmark = pytest.mark.usefixtures("few_plots")

RUN = ["--suite", "toy-suite", "--generator", "toy", "--device", "cpu"]
RUN += ["--optimise", "brightness=1.0", "--hold-out", "red", "--method", "best-of-n:n=2"]


def document(text: str) -> dict[str, Any]:
    """The text as strict JSON: no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(text, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


def test_a_number_that_is_not_finite_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(
        {"a": math.nan, "b": [math.inf, {"c": (-math.inf, 0.5)}], "d": Path("x/y"), "e": "é"}
    )
    shown = capsys.readouterr().out
    assert document(shown) == {"a": None, "b": [None, {"c": [None, 0.5]}], "d": "x/y", "e": "é"}
    assert shown.isascii()


def test_a_missing_value_of_a_table_is_null() -> None:
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, math.nan], "t": ["a", None]})
    assert rows(frame) == [{"n": 1, "x": 0.5, "t": "a"}, {"n": 2, "x": None, "t": None}]


def test_list_has_all_names(hnbench: Hnbench) -> None:
    found = document(hnbench("list", "suites", "--json").stdout)
    assert list(found) == ["suites"]
    assert [set(one) for one in found["suites"]] == [{"name", "summary", "needs", "package"}]
    assert found["suites"][0]["name"] == "toy-suite"


def test_plan_has_the_numbers_of_its_table(hnbench: Hnbench) -> None:
    found = document(hnbench("plan", *RUN, "--json").stdout)
    by_name = {row["method"]: row for row in found["methods"]}
    assert list(by_name) == ["random", "best-of-2", "total"]
    images = [row["images"] for row in by_name.values()]
    assert images[2] == images[0] + images[1]
    assert by_name["random"]["done"] == 0
    assert by_name["random"]["seconds"] is None  # nothing was measured
    assert found["seconds_left"] is None


def test_report_has_the_rows_of_summary_csv(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench("run", *RUN, "--out", "run", "--no-report")
    result = hnbench("report", "run", "--json")
    found = document(result.stdout)
    assert found["path"] == "run/report/report.md"
    assert found["findings"]
    with (tmp_path / "run/report/summary.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [(one["label"], one["metric"]) for one in found["summary"]] == [
        (one["label"], one["metric"]) for one in written
    ]
    for one, line in zip(found["summary"], written, strict=True):
        expected = float(line["estimate"]) if line["estimate"] else None
        assert one["estimate"] == (None if expected is None else pytest.approx(expected))


def test_score_and_measure(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench("run", *RUN, "--out", "run", "--no-report")
    scored = hnbench("score", "run", "--suite", "toy-suite", "--device", "cpu", "--json")
    found = document(scored.stdout)
    folder = tmp_path / found.pop("folder")
    assert found.pop("missing") == 0
    assert found == json.loads((folder / "scores.json").read_text())
    measured = hnbench("measure", "run", "--measure", "shift", "--device", "cpu", "--json")
    found = document(measured.stdout)
    assert found["missing"] == 0
    assert {row["measure"] for row in found["values"]} == {"shift"}
    assert {row["label"] for row in found["values"]} == {"best-of-2"}


def test_verify_lists_its_checks(hnbench: Hnbench) -> None:
    checks = document(hnbench("verify", "--list", "--json").stdout)["checks"]
    names = [one["name"] for one in checks]
    assert len(names) == len(set(names)) > 10
    one = document(hnbench("verify", "--explain", names[0], "--json").stdout)["checks"]
    assert names[0] in [check["name"] for check in one]


def test_env_is_one_document(hnbench: Hnbench) -> None:
    assert "cache" in document(hnbench("env", "--json", "--device", "cpu").stdout)


@pytest.mark.parametrize("command", [[], ["run"], ["list"], ["init"]])
def test_h_is_help(hnbench: Hnbench, command: list[str]) -> None:
    short = hnbench(*command, "-h")
    assert short.exit_code == 0
    assert short.stdout == hnbench(*command, "--help").stdout
    assert short.stdout.startswith("Usage: hnbench")
