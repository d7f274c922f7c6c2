"""Bars that count images."""

from __future__ import annotations

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.text import Text

from hnbench.display import consoles
from hnbench.files.escaping import printable


class NameColumn(ProgressColumn):
    """What a line counts."""

    def render(self, task: Task) -> Text:
        """The name, which is bold for the whole of the work."""
        return Text(printable(task.description), style="bold" if task.fields.get("whole") else "")


class RateColumn(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        """The rate of one line, empty while it is unknown."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s", style="cyan")


def image_bars() -> Progress:
    """Lines that count images, with their rate; on a terminal alone."""
    console = consoles.stderr()
    return Progress(
        NameColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    )
