"""The progress of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.display.bars import image_bars
from hnbench.display.log import Log

if TYPE_CHECKING:
    from rich.progress import TaskID


class RunDisplay:
    """One line for the whole run, and one for each method that has something to do. Implements
    `hnbench.runs.execute.RunProgress`.
    """

    def __init__(self) -> None:
        self._bars = image_bars()
        self._log = Log(self._bars.console)
        self._run = self._bars.add_task("all methods", total=None, whole=True)
        self._method: TaskID | None = None

    def start(self, total: int) -> None:
        """Show the whole run: `total` images."""
        self._log.begin("all methods", total)
        self._bars.update(self._run, total=total)
        self._bars.start()

    def label(self, name: str) -> None:
        """Begin a method's line. The previous method's line stays if it counted anything."""
        self._close_method()
        self._log.note = f"now {name}"
        self._method = self._bars.add_task(name, total=None)

    def advance(self, count: int) -> None:
        """Count images. Those that come before any method are from an earlier session, and do not
        count for the speed.
        """
        if self._method is None:
            # rich measures the speed from here on
            self._bars.reset(self._run, completed=count)
            self._log.skip(count)
            return
        self._log.advance(count)
        self._bars.advance(self._run, count)
        self._bars.advance(self._method, count)

    def done(self) -> None:
        """Leave the last state on the screen."""
        self._close_method()
        self._log.end()
        self._bars.stop()

    def _close_method(self) -> None:
        if self._method is None:
            return
        task = self._bars.tasks[self._bars.task_ids.index(self._method)]
        if task.completed:
            self._bars.update(self._method, total=task.completed)
        else:
            self._bars.remove_task(self._method)
        self._method = None
