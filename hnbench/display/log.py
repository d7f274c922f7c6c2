"""Progress as plain lines, for a log file or a pipe."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from hnbench.display.consoles import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

QUIET_SECONDS = 30.0
QUIET_SHARE = 0.05
"""The least time between two lines of a log, and the least share of the work."""


class Log:
    """Progress as plain lines for a log file or a pipe. A terminal has bars, so it gets no
    lines.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._what, self._total, self._done, self._first = "", 0, 0, 0
        self._said, self._said_at, self._began = 0, 0.0, 0.0
        self.note = ""
        """An addition to the next lines: the method, or the latest figures."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """A piece of work begins, of which `done` of `total` is done already."""
        self._what, self._total, self._done, self._first = what, total, done, done
        self._began = self._clock()
        self._line()

    def skip(self, count: int) -> None:
        """`count` more were done in an earlier session, so they do not count for the speed."""
        if count:
            self.begin(self._what, self._total, self._done + count)

    def advance(self, count: int) -> None:
        """`count` more are done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """`done` in all are done. Prints a line if enough time and work lie behind the last one."""
        self._done = done
        late = self._clock() - self._said_at >= QUIET_SECONDS
        if late and self._done - self._said >= QUIET_SHARE * self._total:
            self._line()

    def end(self) -> None:
        """Print the last state, if no line has shown it."""
        if self._done != self._said:
            self._line()

    def _line(self) -> None:
        self._said, self._said_at = self._done, self._clock()
        if not self._console.is_terminal:
            parts = (f"{self._what}: {self._done}/{self._total}", self.note, self._time())
            say(self._console, ", ".join(part for part in parts if part))

    def _time(self) -> str:
        new, seconds = self._done - self._first, self._clock() - self._began
        if not new:
            return ""
        if self._done >= self._total:
            return f"took {timedelta(seconds=round(seconds))}"
        return f"about {timedelta(seconds=round(seconds / new * (self._total - self._done)))} left"
