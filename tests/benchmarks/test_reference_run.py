"""The command that makes the kept results runs every method, and every step can be parsed."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import reference_run
from hnbench.catalogue.registry import METHODS
from hnbench.files.journal import read_lines

SEEDS, EQUAL = len(reference_run.SEEDS), len(reference_run.EQUAL_SEEDS)


def methods_of(command: list[str]) -> set[str]:
    named = pairwise(command)
    return {value.partition(":")[0] for flag, value in named if flag == "--method"}


def test_every_built_in_method_is_run_and_every_seed_is_reported(tmp_path: Path) -> None:
    made = reference_run.commands(tmp_path, 2)
    runs = [command for command in made if command[0] == "run"]
    assert {name for command in runs for name in methods_of(command)} | {"random"} == {
        entry.name for entry in METHODS.built_in
    }
    folders = [command[command.index("--out") + 1] for command in runs]
    assert len(set(folders)) == len(runs) == SEEDS + EQUAL
    reports = [command for command in made if command[0] == "report"]
    reported = [command[1 : command.index("--out")] for command in reports]
    assert reported == [folders[:SEEDS], folders[SEEDS:]]
    assert all(command[command.index("--processes") + 1] == "2" for command in runs)
    assert all("--full" in command for command in runs[:SEEDS])


def test_a_command_that_fails_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        reference_run, "commands", lambda *_: [["env", "--nonsense"], ["list", "methods"]]
    )
    monkeypatch.setattr(sys, "argv", ["reference_run", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        reference_run.main()
    assert caught.value.code == 2
    shown = capfd.readouterr()
    assert "hnbench env --nonsense" in shown.out
    assert "best-of-n" not in shown.out


def test_a_journal_of_measures_is_compressed_after_what_is_there(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    for line in (b'{"one":1}\n', b'{"two":2}\n'):
        journal.write_bytes(line)
        reference_run.compress(journal)
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl.xz"]
    assert read_lines(journal, dict) == [{"one": 1}, {"two": 2}]
