"""The progress of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)

from hnbench.display import consoles
from hnbench.display.log import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


class TrainingDisplay:
    """One line of progress with the latest figures, and a line for each evaluation. Implements
    `hnbench.hypernetwork.trainer.TrainingProgress`.
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or consoles.stderr()
        self._log = Log(console)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TextColumn("{task.fields[time]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._pairing = False
        self._task = self._bars.add_task("training", total=None, figures="", time="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.end()
        self._bars.stop()

    def paired(self, done: int, total: int) -> None:
        """Show how many pairs of a regression have been made."""
        if not self._pairing:
            self._pairing = True
            self._log.begin("pairs", total, done)
            self._bars.start()
        self._log.reach(done)
        self._bars.update(
            self._task, description="pairs", total=total, completed=done, time=self._log.time()
        )

    def started(self, step: int, total: int) -> None:
        """Show a training that begins, or continues after `step`."""
        self._log.end()
        self._log.begin("training", total, step)
        self._bars.reset(
            self._task, total=total, completed=step, start=True, description="training"
        )
        self._bars.update(self._task, time="")
        self._bars.start()

    def stepped(self, record: Mapping[str, Any]) -> None:
        """Show a step's line of the log."""
        if "evaluation" in record:
            consoles.say(
                self._bars.console, f"step {record['step']}: {paired_gain(record['evaluation'])}"
            )
        self._log.note = figures(record)
        self._log.reach(record["step"])
        self._bars.update(
            self._task,
            completed=record["step"],
            figures=figures(record),
            time=self._log.time(),
        )

    def line(self) -> str:
        """The present state in one line."""
        return self._log.line()


def figures(record: Mapping[str, Any]) -> str:
    """Loss, size of the change of the noise, and speed, if a step's record has them."""
    parts = [
        ("loss {:.4g}", record.get("loss")),
        ("change {:.1%} of the noise", record.get("relative_change")),
        ("{:.1f} images/s", record.get("images_per_second")),
    ]
    return ", ".join(text.format(value) for text, value in parts if value is not None)


def paired_gain(evaluation: Mapping[str, Any]) -> str:
    """The gain in reward over the base on the same held-out prompts and noises."""
    gain, error = evaluation["gain"], evaluation["gain_standard_error"]
    if gain is None:
        return "the reward is not finite"
    return f"paired reward gain {gain:+.4f}" + (
        f" ± {error:.4f} (standard error)" if error is not None else ""
    )
