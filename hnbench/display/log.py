"""Counted work as a plain line, for a log file, a pipe, or whoever asks by a signal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hnbench.display.consoles import say
from hnbench.display.pace import Pace, ends, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


class Log:
    """The state of counted work as a plain line. A line is printed when the work begins and when it
    ends, and in between by the heartbeat. A terminal has bars, so it gets no lines by itself.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._what, self._total, self._done, self._first = "", 0, 0, 0
        self._said, self._began = -1, 0.0
        self.note = ""
        """An addition to the next lines: the method, or the latest figures."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """A piece of work begins, of which `done` of `total` is done already."""
        self._what, self._total, self._done, self._first = what, total, done, done
        self._began = self._clock()
        self._print()

    def skip(self, count: int) -> None:
        """`count` more were done in an earlier session, so they do not count for the speed."""
        if count:
            self.begin(self._what, self._total, self._done + count)

    def advance(self, count: int) -> None:
        """`count` more are done."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """`done` in all are done."""
        self._done = done

    def end(self) -> None:
        """Print the last state, if no line has shown it."""
        if self._what and self._done != self._said:
            self._print()

    def line(self) -> str:
        """The present state; empty before any work has begun."""
        return ", ".join(part for part in (self._state(), self.note, self.time()) if part)

    def _print(self) -> None:
        self._said = self._done
        if not self._console.is_terminal:
            say(self._console, self.line())

    def _state(self) -> str:
        return f"{self._what}: {self._done}/{self._total}" if self._what else ""

    def time(self) -> str:
        """When the work ends, or how long it took; empty while that is unknown."""
        if self._total and self._done >= self._total > self._first:
            return f"took {span(self._clock() - self._began)}"
        left = self._seconds_left()
        return "" if left is None else ends(left)

    def _seconds_left(self) -> float | None:
        new, seconds = self._done - self._first, self._clock() - self._began
        return seconds / new * (self._total - self._done) if new else None


class PassesLog(Log):
    """The state of a run: the images are counted, and the time that is left follows from the
    passes.
    """

    def __init__(
        self, console: Console, pace: Pace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(console, clock)
        self._pace = pace

    def _state(self) -> str:
        passes = self._pace.passes()
        return f"{super()._state()} images, {passes}" if passes else super()._state()

    def time(self) -> str:
        text = super().time()
        return f"{text} or later" if text.startswith("ends") and self._pace.incomplete else text

    def _seconds_left(self) -> float | None:
        return self._pace.seconds_left()
