"""When counted work ends.

The work left is counted in passes through the generator, not in images: an image of a method can
take one pass or a hundred. A pass of a method takes as long as its passes have taken so far, also
within its first batch. A pass of a method that has not begun takes the mean time of all passes so
far. What follows a batch (saving, scoring, judging) takes the same time for every image.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hnbench.runs.workload import Workload


@dataclass
class _Method:
    """One method's work: what is left, and what its passes have taken."""

    per_task: int
    all_tasks: int
    tasks: int
    images: int
    passes: int = 0
    """The passes of this session."""
    seconds: float = 0.0
    """The seconds that they took."""


class Pace:
    """Counts the passes of a run's work as they are made, and tells how long the rest takes.

    A method that does not announce its passes counts as one pass per task until its first batch is
    done.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._methods: dict[str, _Method] = {}
        self._unknown: set[str] = set()
        self._now: _Method | None = None
        self._name = ""
        self._began = self._seen = self._ended = 0.0
        self._running = 0
        self._records, self._recording = 0, 0.0

    def expect(self, work: Workload) -> None:
        """The work of a run, and how much of it is left, before any of it begins."""
        self._methods = {
            one.name: _Method(
                one.passes.generator if one.passes else 1,
                one.tasks,
                one.tasks_left,
                one.images_left,
            )
            for one in work.methods
        }
        self._unknown = {one.name for one in work.methods if one.passes is None}

    def begin(self, name: str) -> None:
        """A method begins. Nothing is left of the one before, even if less was done than
        expected.
        """
        if self._now is not None:
            self._now.tasks = self._now.images = 0
        self._now, self._name, self._running = self._methods.get(name), name, 0

    def running(self, passes: int) -> None:
        """The batch that runs now has made `passes` passes; 0 when it begins."""
        self._seen = self._clock()
        if not passes:
            self._began = self._seen
        self._running = passes

    def proposed(self, tasks: int, seconds: float) -> None:
        """A batch of `tasks` tasks has ended; it took `seconds`."""
        self._ended = self._clock()
        if self._now is None:
            return
        self._now.passes += self._running
        self._now.seconds += seconds
        self._now.tasks = max(self._now.tasks - tasks, 0)
        if self._name in self._unknown and self._running:
            self._unknown.remove(self._name)
            self._now.per_task = max(round(self._running / tasks), 1)
        self._running = 0

    def recorded(self, images: int) -> None:
        """`images` images of the batch that ended last are recorded."""
        self._records += images
        self._recording += self._clock() - self._ended
        if self._now is not None:
            self._now.images = max(self._now.images - images, 0)

    def state(self, name: str | None = None) -> tuple[int, int]:
        """The passes of one method, or of all: how many are done, and how many it takes in all.
        Those of earlier sessions are included.
        """
        chosen = [one for key, one in self._methods.items() if name in (None, key)]
        total = sum(one.all_tasks * one.per_task for one in chosen)
        return total - sum(self._left(one) for one in chosen), total

    def passes(self) -> str:
        """The state of all methods as text; empty without any work."""
        done, total = self.state()
        return f"{done:,}/{total:,} passes" if total else ""

    @property
    def incomplete(self) -> bool:
        """Whether the passes of some method are still unknown, so that more may be left."""
        return bool(self._unknown)

    def _left(self, method: _Method) -> int:
        running = self._running if method is self._now else 0
        return max(method.tasks * method.per_task - running, 0)

    def _spent(self, method: _Method) -> tuple[float, int]:
        """Seconds and passes so far, with those of the batch that runs now."""
        if method is not self._now or not self._running:
            return method.seconds, method.passes
        return method.seconds + self._seen - self._began, method.passes + self._running

    def seconds_left(self) -> float | None:
        """The seconds that the rest takes; None before the first pass."""
        spent = [self._spent(one) for one in self._methods.values()]
        passes = sum(count for _, count in spent)
        if not passes:
            return None
        mean = sum(seconds for seconds, _ in spent) / passes
        each = self._recording / self._records if self._records else 0.0
        return sum(
            self._left(one) * (seconds / count if count else mean) + one.images * each
            for one, (seconds, count) in zip(self._methods.values(), spent, strict=True)
        )


def ends(seconds: float, now: datetime | None = None) -> str:
    """The time of day at which something ends that takes `seconds` more.

    >>> ends(88, datetime(2026, 11, 27, 14, 30, 40))
    'ends 14:32 (in 0:01:28)'
    >>> ends(40 * 3600, datetime(2026, 11, 27, 14, 30))
    'ends 2026-11-29 06:30 (in 1 day, 16:00:00)'
    """
    now = now or datetime.now()  # noqa: DTZ005 - a wall clock on the reader's machine
    end = now + timedelta(seconds=round(seconds))
    day = "" if end.date() == now.date() else f"{end:%Y-%m-%d} "
    return f"ends {day}{end:%H:%M} (in {span(seconds)})"


def span(seconds: float) -> str:
    """A span of time in whole seconds.

    >>> span(5025.2)
    '1:23:45'
    """
    return str(timedelta(seconds=round(seconds)))
