"""`hnbench pack` at the command line, and every command on what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hnbench
from tests.cli.test_processes import RUN

ON_CPU = ("--device", "cpu")
SCORE = ("score", "run", "--suite", "toy-suite", *ON_CPU)
MEASURE = ("measure", "run", "--measure", "lpips", *ON_CPU)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lock" not in path.name
    }


def test_every_command_reads_a_packed_run_as_before(hnbench: Hnbench, tmp_path: Path) -> None:
    run, commands = tmp_path / "run", {}
    assert hnbench(*RUN, "--out", "run").exit_code == 0
    for command in (
        ("report", "run", "--check"),
        ("report", "run", "--out", "out/report"),
        (*SCORE, "--out", "out/scores"),
        (*MEASURE, "--out", "out/measures"),
        ("compare", "run", "run", "--out", "out/compared"),
        ("merge", "run", "--out", "merged"),
        (*RUN, "--out", "run"),
    ):
        done = hnbench(*command)
        commands[command] = done.exit_code, done.stdout
    before = files(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "before")
    (tmp_path / "merged").rename(tmp_path / "plain")

    packed = hnbench("pack", "run")
    assert packed.exit_code == 0
    assert "run has 24 records in" in packed.stdout
    assert [path.name for path in run.glob("journal-*")] == ["journal-0000.columns.xz"]
    for command, expected in commands.items():
        done = hnbench(*command)
        assert (done.exit_code, done.stdout) == expected, command
    assert "all 24 samples are already done" in done.stderr
    assert [path.name for path in run.glob("journal-*")] == ["journal-0000.columns.xz"]
    after = files(tmp_path / "out")
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == []
    assert len(before) > 10

    more = hnbench(*RUN, "--method", "random", "--method", "best-of-n:n=3", "--out", "run")
    assert more.exit_code == 0
    assert sorted(path.name for path in run.glob("journal-*")) == [
        *("journal-0000.columns.xz", "journal-0001.jsonl")
    ]
    assert len((run / "journal-0001.jsonl").read_bytes().splitlines()) == 12
    assert hnbench("report", "run", "--check").exit_code == 0


def test_packing_tells_what_it_cannot_do(hnbench: Hnbench, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    refused = hnbench("pack", "other")
    assert refused.exit_code == 4
    assert "is not a run folder" in refused.stderr


@pytest.mark.parametrize("undo", [False, True])
def test_the_function_takes_several_runs(hnbench: Hnbench, tmp_path: Path, *, undo: bool) -> None:
    import hnbench as door

    assert hnbench(*RUN, "--out", "run").exit_code == 0
    journal = (tmp_path / "run" / "journal-0000.jsonl").read_bytes()
    (found,) = door.pack(["run"])
    assert (found.records, found.before) == (24, len(journal))
    if undo:
        (undone,) = door.pack([tmp_path / "run"], undo=True)
        assert (undone.before, undone.after) == (found.after, len(journal))
        assert (tmp_path / "run" / "journal-0000.jsonl").read_bytes() == journal
    with pytest.raises(door.UsageError, match="give at least one run folder"):
        door.pack([])
