"""Progress bars that count images."""

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


def image_bars() -> Progress:
    """Bars that count images, with their rate. Without a terminal, nothing is shown."""
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
