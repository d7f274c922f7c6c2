"""`hnbench compare` as it is typed."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import hnbench
from hnbench.cli.app import app
from hnbench.display.fitting import fitted
from hnbench.errors import UsageError
from hnbench.reports.comparison.text import console_table
from tests.reports.compared_runs import LABELS, manifest_of, other_noises, write, write_trained


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    return write(Path("results/a")), write_trained(Path("results/b"))


def test_the_table_the_notes_and_the_folder(runs: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(app, ["compare", *map(str, runs)])
    assert result.exit_code == 0, result.output
    assert "a and b have the same records of random, best-of-2, reno" in result.stdout
    assert "The comparison: results/compare-a-b/comparison.md" in result.stdout
    assert Path("results/compare-a-b/pairs.csv").is_file()


def test_json_has_every_difference(runs: tuple[Path, Path]) -> None:
    first, other = runs
    result = CliRunner().invoke(
        app, ["compare", f"small={first}", f"large={other}", "--json", "--out", "out"]
    )
    found = json.loads(result.stdout)
    rows = [
        one
        for one in found["numbers"]
        if one["reference"] and one["metric"] == "score" and one["tag"] == "overall"
    ]
    assert [(one["row"], one["reference"]) for one in rows] == [
        ("hypernoise (large)", "hypernoise (small)")
    ]
    own = hnbench.compare([f"small={first}", f"large={other}"], out="out")
    (one,) = own.contrasts
    assert rows[0]["estimate"] == one.metrics["score"].overall.estimate
    assert rows[0]["p_holm"] == one.p_holm


def test_two_rows_of_one_run(runs: tuple[Path, Path]) -> None:
    found = hnbench.compare(runs[0], rows=["random", "reno"])
    assert [(one.row.name, one.reference.name) for one in found.contrasts] == [("reno", "random")]
    assert found.path == Path("results/compare-a/comparison.md")


def test_the_whole_table_is_shown_in_80_columns(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    config = {**manifest_of(first)["config"], "dtype": "bfloat16"}
    generator = {"name": "shapes-large", "fingerprint": "9" * 64, "details": {}}
    write(tmp_path / "b", config=config, generator=generator, change=other_noises)
    found = hnbench.compare([first, tmp_path / "b"], out=tmp_path / "out")
    assert [one.row.label for one in found.contrasts] == list(LABELS)
    console = Console(width=80, file=io.StringIO())
    for part in fitted([console_table(found)], console):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for one in found.contrasts:
        value = one.metrics["score"].overall
        for number in (value.estimate, value.low, value.high):
            assert f"{number:+.3f}" in text
    words = set(re.findall(r"[\w=.,()-]+", text))
    assert {"hypernoise", "(generator=shapes-large,", "dtype=bfloat16)"} <= words


def test_what_is_wrong_is_said(runs: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(app, ["compare", *map(str, runs), "--rows", "renoo"])
    assert result.exit_code == 2
    assert "no run has a row 'renoo'" in result.stderr
    with pytest.raises(UsageError, match="`on` is 'some'"):
        hnbench.compare(runs, on="some")


def test_a_report_of_such_runs_names_this_command(runs: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(app, ["report", *map(str, runs), "--out", "out"])
    assert result.exit_code == 2
    assert "`hnbench compare results/a results/b`" in result.stderr
