"""The progress of a run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hnbench.display.bars import pass_bars
from hnbench.display.log import PassesLog
from hnbench.display.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.progress import TaskID

    from hnbench.runs.workload import Workload


class RunDisplay:
    """One line for the whole run, and one for each method that has something to do. The bars move
    with every pass. Implements `hnbench.runs.execute.RunProgress`.
    """

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bars = pass_bars(console)
        self._pace = Pace(clock)
        self._log = PassesLog(self._bars.console, self._pace, clock)
        self._run = self._bars.add_task("all methods", total=None, whole=True)
        self._method: TaskID | None = None
        self._name = ""
        self._images: dict[str, tuple[int, int]] = {}
        """Method -> the numbers of images that are done, and of all."""

    def expect(self, work: Workload) -> None:
        """The work of the run, and how much of it is left."""
        self._pace.expect(work)
        self._images = {
            one.name: (one.images - one.images_left, one.images) for one in work.methods
        }

    def start(self, total: int) -> None:
        """Show the whole run: `total` images."""
        self._log.begin("all methods", total)
        self._total, self._done = total, 0
        self._refresh()
        self._bars.start()

    def label(self, name: str) -> None:
        """Begin the line of a method, or of work without images. The previous line stays if it
        counted anything.
        """
        self._close_method()
        self._pace.begin(name)
        self._log.note = f"now {name}"
        self._name, self._counted = name, False
        self._method = self._bars.add_task(name, total=None)
        self._refresh()

    def passes(self, count: int) -> None:
        """The batch that runs now has made `count` passes through the generator; 0 when it
        begins.
        """
        self._pace.running(count)
        self._counted |= count > 0
        self._refresh()

    def proposed(self, tasks: int, seconds: float) -> None:
        """A batch of `tasks` tasks has ended; it took `seconds`."""
        self._pace.proposed(tasks, seconds)

    def advance(self, count: int) -> None:
        """Count images. Those that come before any method are from an earlier session, and do not
        count for the speed.
        """
        self._done += count
        if self._method is None:
            self._log.skip(count)
        else:
            done, total = self._images.get(self._name, (0, 0))
            self._images[self._name] = done + count, total
            self._counted |= count > 0
            self._pace.recorded(count)
            self._log.advance(count)
        self._refresh()

    def done(self) -> None:
        """Leave the last state on the screen."""
        self._close_method()
        self._log.end()
        self._bars.stop()

    def line(self) -> str:
        """The present state in one line."""
        return self._log.line()

    def _refresh(self) -> None:
        self._show(self._run, None, f"{self._done}/{self._total} images")
        if self._method is not None:
            done, total = self._images.get(self._name, (0, 0))
            self._show(self._method, self._name, f"{done}/{total} images" if total else "")

    def _show(self, task: TaskID, name: str | None, images: str) -> None:
        done, total = self._pace.state(name)
        self._bars.update(
            task,
            completed=done,
            total=total or None,
            images=images,
            passes=f"{done:,}/{total:,} passes" if total else "",
            time=self._log.time() if name is None else "",
        )

    def _close_method(self) -> None:
        if self._method is None:
            return
        if not self._counted:
            self._bars.remove_task(self._method)
        self._method = None
