"""Questions to a terminal at the other end of a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hnbench.display.terminal_questions import PATIENCE, ask
from tests.terminal import PACKAGE

SCRIPT = """
import fcntl, json, os, re, sys, termios
from hnbench.display.terminal_questions import ask
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if {background}:
    if os.fork():
        sys.exit(os.waitpid(-1, os.WUNTRACED)[1] != 0)  # it has failed, or was stopped
    os.setpgid(0, 0)
before = termios.tcgetattr(0)
found = ask("\\x1b[c", re.compile(rb"c$"))
same = termios.tcgetattr(0) == before
{after}
with open(sys.argv[1], "w") as file:
    json.dump([found.decode("latin-1"), same], file)
"""


def asked(
    folder: Path,
    *,
    parts: tuple[bytes, ...] = (),
    typed: bytes = b"",
    background: bool = False,
    after: str = "",
) -> tuple[str, bytes]:
    """The answer that a process in a terminal of its own got, and what the terminal showed. The
    terminal answers in `parts`; `typed` comes before the question.
    """
    terminal, inner = pty.openpty()
    script = SCRIPT.format(background=background, after=after)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "found")],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={"PYTHONPATH": str(PACKAGE)},
        start_new_session=True,
    )
    os.close(inner)
    if typed:
        os.write(terminal, typed)
    shown = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            shown += os.read(terminal, 1024)
        except OSError:  # the process has ended
            break
        if shown.endswith(b"\x1b[c"):
            for part in parts:
                os.write(terminal, part)
                time.sleep(0.02)
    os.close(terminal)
    assert process.wait(60) == 0, shown
    found, same = json.loads((folder / "found").read_text())
    assert same, "the terminal's settings were not restored"
    return found, shown


def test_an_answer_is_read_in_parts_and_not_shown(tmp_path: Path) -> None:
    found, shown = asked(tmp_path, parts=(b"\x1b[?62", b";4", b"c"))
    assert found == "\x1b[?62;4c"
    assert shown == b"\x1b[c"


def test_a_silent_terminal_is_not_awaited_for_long(tmp_path: Path) -> None:
    began = time.monotonic()
    assert asked(tmp_path) == ("", b"\x1b[c")
    assert time.monotonic() - began < PATIENCE + 5


def test_half_an_answer_is_none(tmp_path: Path) -> None:
    assert asked(tmp_path, parts=(b"\x1b[?62;4",))[0] == ""


def test_what_was_typed_ahead_stays(tmp_path: Path) -> None:
    after = "found += input().encode()"
    found, shown = asked(tmp_path, typed=b"ls -l\n", after=after)
    assert found == "ls -l"
    assert b"\x1b[c" not in shown


def test_a_background_process_asks_nothing_and_is_not_stopped(tmp_path: Path) -> None:
    assert asked(tmp_path, background=True, parts=(b"\x1b[?62;4c",)) == ("", b"")


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_both_streams_must_be_terminals(tmp_path: Path, stream: str) -> None:
    terminal, inner = pty.openpty()
    script = (
        "import re; from hnbench.display.terminal_questions import ask\n"
        "assert ask('\\x1b[c', re.compile(b'c')) == b''"
    )
    streams = {"stdin": inner, "stdout": inner, stream: subprocess.DEVNULL}
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=streams["stdin"],
        stdout=streams["stdout"],
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(PACKAGE)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not select.select([terminal], [], [], 0)[0]
    os.close(inner)
    os.close(terminal)


def test_a_closed_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert ask("\x1b[c", re.compile(b"c")) == b""
