"""Commands in a pseudo-terminal of a chosen width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


def in_terminal(
    arguments: list[str],
    width: int,
    folder: Path,
    *,
    answers: Mapping[bytes, bytes] | None = None,
    **environment: str,
) -> str:
    """What `python` with these arguments shows in a terminal of so many columns, without its
    colours. `answers` maps questions to what the terminal answers to them.
    """
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "LINES", "NO_COLOR", "TERM")
    }
    variables = {**kept, "TERM": "xterm", "PYTHONPATH": str(PACKAGE), **environment}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=folder,
        env=variables,
    )
    os.close(inner)
    shown, answered = b"", 0
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
        for question, answer in (answers or {}).items():
            if question in shown[answered:]:
                answered = shown.index(question, answered) + len(question)
                os.write(terminal, answer)
    os.close(terminal)
    text = _ESCAPES.sub("", shown.decode())
    assert process.wait(60) == 0, text
    return text
