"""Ctrl-C and SIGTERM end every command in the same way, and what is there is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnbench.guards.interrupts import Terminated, exit_code_of, heed_sigterm, interrupt_deferred
from hnbench.runs.store import read_run

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
PLACES = {
    "run": "hnbench.api.arrangement.preset_of",
    "train": "hnbench.api.training_arrangement.preset_of",
    "report": "hnbench.api.report.newest_run",
    "score": "hnbench.api.score.device_of",
    "measure": "hnbench.api.measure._known",
    "export": "hnbench.runs.store.read_run",
    "diagnose": "hnbench.api.diagnose.preset_of",
    "fetch": "hnbench.api.fetch.preset_of",
    "verify": "hnbench.api.verify.choose_device",
    "push": "hnbench.hypernetwork.publish.publish",
    "env": "hnbench.cli.env.choose_device",
}
"""A function that each command calls: where the signal is sent from."""
ARGUMENTS = {
    "run": ["--suite", "geneval-shapes"],
    "score": ["images", "--suite", "geneval-shapes"],
    "measure": ["images"],
    "fetch": ["--generator", "shapes"],
    "push": ["adapter", "owner/name"],
    "export": ["run", "--layout", "geneval", "--out", "exported"],
}


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of a process that was started as usual, also where the tests run in the
    background.
    """
    before = {number: signal.getsignal(number) for number in CODES}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", PLACES)
def test_every_command_ends_alike(tmp_path: Path, command: str, number: signal.Signals) -> None:
    code = f"""
import os, signal, sys
from unittest import mock
import hnbench.cli.app
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["hnbench", *{[command, *ARGUMENTS.get(command, [])]!r}]
with mock.patch({PLACES[command]!r}, lambda *_, **__: os.kill(os.getpid(), {int(number)})):
    hnbench.cli.app.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == CODES[number], done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hnbench: interrupted")]
    assert line.startswith(f"hnbench: interrupted; the same command continues: hnbench {command}")
    assert "Traceback" not in done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.parametrize("number", CODES)
def test_a_run_says_what_is_kept(tmp_path: Path, number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-c",
        (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from"
            " hnbench.cli.app import main; main()"
        ),
    ]
    command += [
        "run",
        "--suite",
        "geneval-shapes",
        "--method",
        "reno:iterations=20",
        "--limit",
        "3",
        "--batch-size",
        "1",
    ]
    command += ["--device", "cpu", "--no-report", "--out", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        while process.poll() is None and not list((tmp_path / "run").glob("journal-*")):
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == CODES[number], errors
    kept = len(read_run(tmp_path / "run").records)
    assert kept
    assert (
        f"hnbench: interrupted; {kept} records are kept in run. Continue with the same command."
        in errors
    )
    assert "Traceback" not in errors


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_first_signal_is_held_back_until_the_block_ends(
    number: signal.Signals, kind: type[KeyboardInterrupt]
) -> None:
    heed_sigterm()
    reached = []

    def work() -> None:
        with interrupt_deferred():
            os.kill(os.getpid(), number)
            reached.append("end")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert (reached, caught.type) == (["end"], kind)
    assert exit_code_of(caught.value) == CODES[number]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("second", CODES)
@pytest.mark.parametrize("first", CODES)
def test_a_second_signal_is_not(first: signal.Signals, second: signal.Signals) -> None:
    heed_sigterm()
    reached = []

    def work() -> None:
        with interrupt_deferred():
            os.kill(os.getpid(), first)
            reached.append("after the first")
            os.kill(os.getpid(), second)
            reached.append("after the second")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert reached == ["after the first"]
    assert exit_code_of(caught.value) == CODES[second]


@pytest.mark.usefixtures("handlers")
def test_a_handler_of_someone_else_is_left() -> None:
    """As a scheduler's or a server's own, which a library has no business with."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    heed_sigterm()
    with interrupt_deferred():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
