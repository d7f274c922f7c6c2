"""Questions to the terminal itself, which it answers as if the answer was typed."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

PATIENCE = 0.5
"""Seconds to wait for an answer. A terminal that knows the question answers at once; SSH adds its
delay.
"""


def ask(question: str, end: re.Pattern[bytes], patience: float = PATIENCE) -> bytes:
    """The answer of the terminal to an escape code, up to what `end` matches.

    It is empty, and nothing is asked, if standard input or output is no terminal, if the process
    runs in the background, on Windows, or if something was typed ahead, which stays unread. It is
    also empty if there is no whole answer within `patience` seconds.
    """
    if sys.platform == "win32" or not _is_in_foreground():
        return b""
    import select
    import termios
    import tty

    typed, shown = sys.stdin.fileno(), sys.stdout.fileno()
    try:
        before = termios.tcgetattr(typed)
        try:
            # Without lines and echo: an answer has no line end, and is not to be seen.
            tty.setcbreak(typed, termios.TCSANOW)
            if select.select([typed], [], [], 0)[0]:
                return b""
            sys.stdout.flush()
            os.write(shown, question.encode("ascii"))
            return _read(typed, end, patience)
        finally:
            termios.tcsetattr(typed, termios.TCSANOW, before)
    except (OSError, termios.error):  # the terminal was closed
        return b""


def _is_in_foreground() -> bool:
    """Whether both streams are terminals that this process may read and set. The system would stop
    a background process that tries.
    """
    try:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            return False
        owner = os.tcgetpgrp(sys.stdin.fileno())
    except (AttributeError, ValueError):  # no stream, or a closed one
        return False
    except OSError:  # not the terminal that controls this process, so it stops nothing
        return True
    return owner == os.getpgrp()


def _read(source: int, end: re.Pattern[bytes], patience: float) -> bytes:
    import select

    found = b""
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([source], [], [], left)[0]:
            break
        part = os.read(source, 1024)
        found += part
        if end.search(found):
            return found
        if not part:
            break
    return b""
