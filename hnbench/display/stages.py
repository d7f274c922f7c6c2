"""The progress of work on a folder of images, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hnbench.display.bars import image_bars
from hnbench.display.log import Log

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class StageDisplay:
    """One line for each stage of work on images, for a `with` statement. Implements
    `hnbench.images.inventory.StageProgress`.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._bars = image_bars(console)
        self._log = Log(self._bars.console)
        self._stage: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._log.end()
        self._bars.stop()

    def label(self, name: str, total: int) -> None:
        """Begin the line of a stage, if there is anything to do in it."""
        self._log.end()
        self._stage = self._bars.add_task(name, total=total) if total else None
        if total:
            self._log.begin(name, total)

    def advance(self, count: int) -> None:
        """Count images of the stage."""
        if self._stage is not None:
            self._log.advance(count)
            self._bars.update(self._stage, advance=count, time=self._log.time())

    def line(self) -> str:
        """The present state in one line."""
        return self._log.line()
