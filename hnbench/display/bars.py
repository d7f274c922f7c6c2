"""Progress bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
)
from rich.text import Text

from hnbench.display import consoles
from hnbench.files.escaping import printable

if TYPE_CHECKING:
    from rich.console import Console


class NameColumn(ProgressColumn):
    """The name of a line."""

    def render(self, task: Task) -> Text:
        """The name; the line for the whole work has it in bold."""
        return Text(printable(task.description), style="bold" if task.fields.get("whole") else "")


class RateColumn(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        """The rate of one line, empty while it is unknown."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s", style="cyan")


class FieldColumn(ProgressColumn):
    """A text that the display itself keeps, as a field of the task."""

    def __init__(self, field: str, style: str) -> None:
        super().__init__()
        self._field, self._style = field, style

    def render(self, task: Task) -> Text:
        """The present text; empty if there is none."""
        return Text(str(task.fields.get(self._field, "")), style=self._style)


def image_bars(console: Console | None = None) -> Progress:
    """Bars that count images, with their rate. The field `time` of their tasks is shown as text.
    Without a terminal, nothing is shown.
    """
    console = console or consoles.stderr()
    return Progress(
        NameColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        FieldColumn("time", "progress.remaining"),
        console=console,
        disable=not console.is_terminal,
    )


def pass_bars(console: Console | None = None) -> Progress:
    """Bars that move with every pass. The fields `images`, `passes` and `time` of their tasks
    are shown as text. Without a terminal, nothing is shown.
    """
    console = console or consoles.stderr()
    return Progress(
        NameColumn(),
        BarColumn(),
        FieldColumn("images", "progress.download"),
        FieldColumn("passes", "cyan"),
        FieldColumn("time", "progress.remaining"),
        console=console,
        disable=not console.is_terminal,
    )
