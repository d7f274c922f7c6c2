"""Signs of life: in time, on demand, and none after the end."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from hnbench.display import consoles
from hnbench.display.heartbeat import Heartbeat
from hnbench.display.screen import Screen

needs_signal = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows")


def wait_for(condition: object, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:  # type: ignore[operator]
        time.sleep(0.01)


def test_it_beats_until_the_block_ends() -> None:
    signs: list[bool] = []
    with Heartbeat(signs.append, every=0.02):
        wait_for(lambda: len(signs) >= 3)
    counted = len(signs)
    assert counted >= 3
    assert not any(signs)
    time.sleep(0.1)
    assert len(signs) == counted


@needs_signal
def test_a_signal_asks_at_once() -> None:
    signs: list[bool] = []
    with Heartbeat(signs.append):
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_for(lambda: signs)
    assert signs == [True]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@needs_signal
def test_a_handler_of_somebody_else_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        with Heartbeat(lambda _: None):
            os.kill(os.getpid(), signal.SIGUSR1)
            wait_for(lambda: heard)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


@needs_signal
def test_another_thread_sets_no_handler() -> None:
    found: list[object] = []

    def work() -> None:
        with Heartbeat(lambda _: None):
            found.append(signal.getsignal(signal.SIGUSR1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


def screen(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> tuple[Screen, io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr(
        consoles,
        "Console",
        lambda **_: Console(file=stream, width=140, force_terminal=terminal),
    )
    return Screen(shown=True), stream


def test_a_pipe_gets_the_line_of_what_happens_now(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, stream = screen(monkeypatch, terminal=False)
    with shown:
        shown.announce("loading torch")
        shown._sign(False)
        with shown.stages() as display:
            display.label("judging", 4)
            display.advance(1)
            shown._sign(False)
    assert [line.partition(", ends")[0] for line in stream.getvalue().splitlines()] == [
        "loading torch",
        "loading torch",
        "judging: 0/4",
        "judging: 1/4",
        "judging: 1/4",
    ]


def test_a_terminal_gets_a_line_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, stream = screen(monkeypatch, terminal=True)
    shown.announce("outside of a block")
    assert stream.getvalue() == ""
    with shown:
        shown.announce("loading torch")
        wait_for(lambda: "loading torch" in stream.getvalue())
        before = stream.getvalue().count("\n")
        shown._sign(False)
        assert stream.getvalue().count("\n") == before
        shown._sign(True)
    assert re.search(r"loading torch\n", stream.getvalue())


def test_a_silent_call_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, stream = screen(monkeypatch, terminal=False)
    shown = Screen(shown=False)
    with shown:
        shown.announce("loading torch")
        shown.note("a note")
        assert not [one for one in threading.enumerate() if one.name == "hnbench-heartbeat"]
    assert stream.getvalue() == ""


@needs_signal
def test_a_run_answers_a_signal_and_goes_on(tmp_path: Path) -> None:
    command = ["run", "--suite", "geneval-shapes", "--limit", "6", "--method", "best-of-n:n=4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hnbench", *command, "--out", "run", "--no-report"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HF_HUB_OFFLINE": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stderr is not None
        first = process.stderr.readline().strip()
        process.send_signal(signal.SIGUSR1)
        rest = process.stderr.read().splitlines()
    assert process.returncode == 0
    # Before torch, the slowest import, so within the first second.
    assert first == "loading torch"
    assert rest[0] == "loading torch"
    assert rest[-1].startswith("all methods: 72/72 images, 120/120 passes")
