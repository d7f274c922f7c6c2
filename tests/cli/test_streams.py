"""Standard output and error in any encoding, closed, full, or left by their reader."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hnbench.cli.streams import Messages, Output, prepare, readable
from hnbench.errors import StoreError
from tests.reports.synthetic import write_run

PACKAGE = Path(__file__).parents[2]
HNBENCH = f"{sys.executable} -m hnbench"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = ("random", "best-of-2", "best-of-16", "hypernoise")
    return write_run(tmp_path_factory.mktemp("streams") / "run", labels).parent


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    variables = {**os.environ, "PYTHONPATH": str(PACKAGE), "HF_HUB_OFFLINE": "1", **environment}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=variables,
        capture_output=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """The report in an encoding that has every character."""
    return shell(f"{HNBENCH} -q report run", folder, PYTHONIOENCODING="utf-8").stdout.decode()


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii:strict"])
def test_a_report_is_printed_in_any_encoding(folder: Path, printed: str, encoding: str) -> None:
    done = shell(f"{HNBENCH} -q report run", folder, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding.partition(":")[0])
    assert "D base [95%]" in shown or "Δ base [95%]" in shown
    assert ("N ~ " in shown) or ("N ≈ " in shown)
    assert "?" not in shown
    assert len(printed.splitlines()) == len(shown.splitlines())


FORKED = """
import gc, os, sys
import hnbench.hypernetwork.trainer, hnbench.reports.write
from hnbench.catalogue.loading import load_generator, load_mixture
from hnbench.cli.app import main

load_generator("shapes", "cpu", "float32"), load_mixture({{"shapes-clip": 1.0}}, "cpu", "float32")
gc.freeze()
for command in {commands}:
    if not (child := os.fork()):
        sys.argv = ["hnbench", *command.split()]
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)
    _, status = os.waitpid(child, 0)
    os.write(1, b"exit %d\\n" % os.waitstatus_to_exitcode(status))
"""
"""A process for each command; all are forked from one that has imported what takes long."""


def test_every_command_prints_in_ascii(tmp_path: Path) -> None:
    """A prompt file's name, labels and sentences go to standard output, progress and remarks to
    standard error.
    """
    (tmp_path / "é.txt").write_text("a red circle\n", encoding="utf-8")
    train = "train --prompts é.txt --steps 1 --batch-size 1 --rank 1 --out t"
    diagnose = "diagnose --prompts é.txt --hypernetwork t/adapter --samples 1 --out d.json"
    runs = "run --suite geneval-shapes --limit 2 --method best-of-n:n=2 --out r"
    names = "run --suite é.txt --method random --out s"
    commands = [
        runs,
        "score r --suite geneval-shapes --partial",
        "list rewards",
        train,
        diagnose,
        names,
        "run --suite ü",
    ]
    script = tmp_path / "forked.py"
    script.write_text(FORKED.format(commands=commands), encoding="utf-8")
    done = shell(f"{sys.executable} {script}", tmp_path, PYTHONIOENCODING="ascii:strict")
    assert b"Traceback" not in done.stderr, done.stderr
    assert [part.split("\n")[0] for part in done.stdout.decode("ascii").split("exit ")[1:]] == [
        "0"
    ] * 6 + ["2"]
    assert b"unknown suite" in done.stderr


@pytest.mark.parametrize("command", ["-q report run", "--help"])
def test_a_full_output_is_one_line(folder: Path, command: str) -> None:
    done = shell(f"{HNBENCH} {command} > /dev/full", folder)
    assert done.returncode == 4
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("hnbench: standard output cannot be written (No space left on device)")


@pytest.mark.parametrize("command", ["-q report run", "--version"])
def test_a_closed_output_takes_everything(folder: Path, command: str) -> None:
    done = shell(f"{HNBENCH} {command} >&-", folder)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_leaves_is_no_traceback(folder: Path) -> None:
    done = shell(f"{HNBENCH} -q report run | head -1", folder)
    assert b"Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("streams", ["2> /dev/full", ">&- 2>&- <&-"])
def test_a_run_needs_no_place_for_its_messages(tmp_path: Path, streams: str) -> None:
    done = shell(
        f"{HNBENCH} run --suite geneval-shapes --limit 1 --method random --out r {streams}",
        tmp_path,
    )
    assert done.returncode == 0
    assert (tmp_path / "r/report/report.md").is_file()
    (journal,) = tmp_path.glob("r/journal-*.jsonl")
    assert all(line.startswith('{"schema"') for line in journal.read_text().splitlines())


def test_characters_without_a_replacement_are_escaped() -> None:
    assert readable("Δ±√→ 日本 \udcff") == "D+-sqrt-> \\u65e5\\u672c \\udcff"


def test_a_name_that_is_no_unicode_is_printed(tmp_path: Path) -> None:
    code = "from hnbench.cli.streams import prepare; prepare(); print('\\udcff')"
    done = shell(f'{sys.executable} -c "{code}"', tmp_path, PYTHONIOENCODING="utf-8")
    assert done.stdout == b"\\udcff\n"


def test_streams_of_others_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    prepare()
    assert sys.stdout is mine


def test_output_says_so_once_and_messages_never() -> None:
    with Output(open("/dev/full", "wb"), write_through=True) as output:  # noqa: PTH123
        output.write("x")
        with pytest.raises(StoreError, match="No space left"):
            output.flush()
        output.write("x")
    with Messages(open("/dev/full", "wb"), write_through=True) as messages:  # noqa: PTH123
        messages.write("x")
        messages.flush()
