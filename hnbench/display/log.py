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
"""Between two lines of a log there are at least these seconds, and this share of the work."""


class Log:
    """Progress as plain lines for a log file or a pipe; on a terminal, which has bars, nothing."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._what, self._total, self._done, self._first = "", 0, 0, 0
        self._said, self._said_at, self._began = 0, 0.0, 0.0
        self.note = ""
        """What the next lines say besides: the method, or the latest figures."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """A piece of work begins, of which `done` of `total` is there."""
        self._what, self._total, self._done, self._first = what, total, done, done
        self._began = self._clock()
        self._line()

    def skip(self, count: int) -> None:
        """So much more was there before; it is no measure of speed."""
        if count:
            self.begin(self._what, self._total, self._done + count)

    def advance(self, count: int) -> None:
        """So much more is done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """So much is done: a line, if the last one is long ago and much was done since."""
        self._done = done
        late = self._clock() - self._said_at >= QUIET_SECONDS
        if late and self._done - self._said >= QUIET_SHARE * self._total:
            self._line()

    def end(self) -> None:
        """The last state, if no line said it."""
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
