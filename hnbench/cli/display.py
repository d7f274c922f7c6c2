"""What a user sees while a run or a training works: bars on a terminal, a plain line now and then
elsewhere.

All of that is on stderr.

And the small tables that commands print on stdout. Whatever is shown is text: no markup of rich, no
control characters.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from rich import box, filesize
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from hnbench.cli.fitting import fits, fitted
from hnbench.files.escaping import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hnbench.catalogue.registry import Entry
    from hnbench.verification.check import CheckResult
    from hnbench.verification.reference import Reference
    from hnbench.weights.hub import Source

WIDTH = 140
"""Columns of what is printed where there is no terminal to ask."""


QUIET_SECONDS = 30.0
QUIET_SHARE = 0.05
"""Between two lines of a log there are at least so many seconds, and so much of the work."""


def announce(text: str) -> None:
    """Say at once what is begun, in a line of its own, where there is no terminal with bars to show
    life.
    """
    console = _stderr()
    if not console.is_terminal:
        _say(console, text)


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
            _say(self._console, ", ".join(part for part in parts if part))

    def _time(self) -> str:
        new, seconds = self._done - self._first, self._clock() - self._began
        if not new:
            return ""
        if self._done >= self._total:
            return f"took {timedelta(seconds=round(seconds))}"
        return f"about {timedelta(seconds=round(seconds / new * (self._total - self._done)))} left"


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
    console = _stderr()
    return Progress(
        NameColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    )


class RunDisplay:
    """One line for the whole run and one for each method that has something to do (see
    `hnbench.runs.execute.RunProgress`).
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
        """Begin a method's line; the line of the one before stays, if anything was done in it."""
        self._close_method()
        self._log.note = f"now {name}"
        self._method = self._bars.add_task(name, total=None)

    def advance(self, count: int) -> None:
        """Count images. Those that come before any method are from an earlier session, and no
        measure of speed.
        """
        if self._method is None:
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


class StageDisplay:
    """One line for each stage of a score or an export (see `hnbench.images.judging.Progress`). Use
    it in a `with` statement.
    """

    def __init__(self) -> None:
        self._bars = image_bars()
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
            self._bars.advance(self._stage, count)


class TrainingDisplay:
    """One line of progress, and under it the latest figures (see
    `hnbench.hypernetwork.trainer.TrainingProgress`).
    """

    def __init__(self) -> None:
        console = _stderr()
        self._log = Log(console)
        self._bars = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task("", total=None, figures="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.end()
        self._bars.stop()

    def started(self, step: int, total: int) -> None:
        """Show a training that begins, or goes on after `step`."""
        self._log.begin("training", total, step)
        self._bars.reset(self._task, total=total, completed=step, start=True)
        self._bars.start()

    def stepped(self, record: Mapping[str, Any]) -> None:
        """Show a step's line of the log."""
        if "evaluation" in record:
            _say(self._bars.console, f"step {record['step']}: {paired_gain(record['evaluation'])}")
        self._log.note = figures(record)
        self._log.reach(record["step"])
        self._bars.update(self._task, completed=record["step"], figures=figures(record))


class VerifyDisplay:
    """A line for each check as it begins and ends (see `hnbench.verification.session.VerifyProgress`)."""

    def __init__(self, chosen: Sequence[Reference], known: int) -> None:
        """Say what is about to be done, and what it downloads at most."""
        self._console = _stderr()
        total = sum(one.download for one in {one.component: one for one in chosen}.values())
        self._say(
            f"{len(chosen)} of {known} checks; at most {filesize.decimal(total)} of downloads, less"
            " what is in the cache"
        )

    def check_started(self, number: int, total: int, reference: Reference) -> None:
        """Name the check."""
        self._say(f"[{number}/{total}] {reference.name}: {reference.about}")

    def check_done(self, result: CheckResult) -> None:
        """Say what came of it."""
        why = f": {result.why}" if result.why else ""
        self._say(f"    {result.verdict}{why} ({result.seconds:.0f} s)")

    def _say(self, text: str) -> None:
        _say(self._console, text)


def figures(record: Mapping[str, Any]) -> str:
    """Loss, size of the noise's change and speed, as far as a step's record has them."""
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


def show_entries(entries: Iterable[Entry]) -> None:
    """Print names with what they are and need."""
    table = Table("name", "what it is", "needs", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for entry in entries:
        needs = entry.needs or ", ".join(dict.fromkeys(source.repo for source in entry.sources))
        table.add_row(entry.name, entry.summary, needs)
    _print(_stdout(), table)


def show_downloads(
    downloads: Mapping[Source, Sequence[str]], sizes: Mapping[Source, int | None]
) -> None:
    """Print what is fetched, from where, and how large it is (None where nobody can say)."""
    table = Table("for", "from the Hub", "files", "size", box=box.SIMPLE_HEAD)
    for source, names in downloads.items():
        bytes_ = sizes[source]
        size = "unknown" if bytes_ is None else filesize.decimal(bytes_)
        table.add_row(
            ", ".join(names), str(source), ", ".join(need[0][0] for need in source.needs), size
        )
    _print(_stdout(), table)


def show_values(values: Mapping[str, Any]) -> None:
    """Print nested values, one per line, by their dotted names."""
    table = Table("what", "value", box=box.SIMPLE_HEAD)
    for name, value in _flat(values):
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    _print(_stdout(), table)


def show_report(
    table: Table, sentences: Iterable[str], path: Path, *, narrow: Sequence[Table] = ()
) -> None:
    """Print a report's main table, or the `narrow` ones where there is no room for it, its findings
    and where all of it is.
    """
    console = _stdout()
    _print(console, *([table] if not narrow or fits(table, console) else narrow))
    for sentence in sentences:
        console.print(Text(f"\n{printable(sentence)}"))
    console.print()
    _say(console, f"The report: {path}")


def show_lines(lines: Iterable[str]) -> None:
    """Print text as it is."""
    console = _stdout()
    for line in lines:
        _say(console, line)


def show_scores(table: Table, sentences: Iterable[str], where: str) -> None:
    """Print what was found of a folder's images, after what has to be known of it, and `where` the
    details are.
    """
    console = _stdout()
    for sentence in sentences:
        _say(console, sentence)
    _print(console, table)
    console.print()
    _say(console, where)


def _print(console: Console, *tables: Table) -> None:
    for part in fitted(tables, console):
        console.print(part)


def _say(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)


def _stderr() -> Console:
    return Console(stderr=True)


def _stdout() -> Console:
    """A terminal as wide as it is; a file or a pipe wide enough for every table."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
