"""Everything that one call shows its user while it works, or nothing at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TypeVar

from hnbench.display import consoles
from hnbench.display.checks import VerifyDisplay
from hnbench.display.heartbeat import Heartbeat
from hnbench.display.run import RunDisplay
from hnbench.display.stages import StageDisplay
from hnbench.display.training import TrainingDisplay
from hnbench.display.verbosity import is_quiet, is_verbose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.status import Status

    from hnbench.verification.reference import Reference


AnyDisplay = TypeVar("AnyDisplay", RunDisplay, StageDisplay, TrainingDisplay, VerifyDisplay)


class Screen:
    """Progress and notes of one call on stderr, if `shown`, and if the user does not want quiet.

    Within a `with` block, the present state is printed every 30 seconds where there is no terminal,
    and anywhere at once when SIGUSR1 arrives.
    """

    def __init__(self, *, shown: bool) -> None:
        """Decide for the whole call whether anything is shown."""
        self.shown = shown and not is_quiet()
        self._console = consoles.stderr()
        self._line: Callable[[], str] = str
        self._status: Status | None = None
        self._heartbeat = Heartbeat(self._sign)
        self._entered = False
        self._stage, self._stage_began = "", 0.0

    def __enter__(self) -> Self:
        self._entered = True
        if self.shown:
            self._heartbeat.__enter__()
        return self

    def __exit__(self, *given: object) -> None:
        self._stop_status()
        self._end_stage()
        if self.shown:
            self._heartbeat.__exit__(*given)

    def announce(self, text: str) -> None:
        """Show what begins now: as a line, or on a terminal until the next thing begins. Outside of
        a `with` block, a terminal gets nothing.
        """
        self._end_stage()
        self._line = lambda: text
        self._stage, self._stage_began = text, time.monotonic()
        if not self._console.is_terminal:
            self.say(text)
        elif self.shown and self._entered:
            self._stop_status()
            self._status = self._console.status(consoles.plain(text))
            self._status.start()

    def say(self, text: str) -> None:
        """Print a line about the work."""
        if self.shown:
            consoles.say(self._console, text)

    def note(self, text: str) -> None:
        """Print something that a user should know, but that no result depends on."""
        self.say(f"hnbench: {text}")

    def run(self) -> RunDisplay | Silent:
        """The progress of a run."""
        return self._show(RunDisplay(self._console)) if self.shown else Silent()

    def stages(self) -> StageDisplay | Silent:
        """The progress of work on a folder of images, for a `with` statement."""
        return self._show(StageDisplay(self._console)) if self.shown else Silent()

    def training(self) -> TrainingDisplay | Silent:
        """The progress of a training, for a `with` statement."""
        return self._show(TrainingDisplay(self._console)) if self.shown else Silent()

    def checks(self, chosen: Sequence[Reference], known: int) -> VerifyDisplay | Silent:
        """The progress of the `chosen` checks, of which `known` exist in all."""
        return self._show(VerifyDisplay(chosen, known)) if self.shown else Silent()

    def _end_stage(self) -> None:
        """Show the time of the stage that ends now, if details are wanted."""
        if self._stage and is_verbose():
            self.note(f"{self._stage}: took {time.monotonic() - self._stage_began:.1f} s")
        self._stage = ""

    def _show(self, display: AnyDisplay) -> AnyDisplay:
        self._stop_status()
        self._end_stage()
        self._stage, self._stage_began = "the work itself", time.monotonic()
        self._line = display.line
        return display

    def _stop_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _sign(self, asked: bool) -> None:
        line = self._line()
        if line and (asked or not self._console.is_terminal):
            consoles.say(self._console, line)


def _nothing(_self: Silent, *_: object) -> None:
    """Show nothing."""


class Silent:
    """A progress display of any kind that shows nothing."""

    expect: Callable[..., None] = _nothing
    start: Callable[..., None] = _nothing
    label: Callable[..., None] = _nothing
    passes: Callable[..., None] = _nothing
    proposed: Callable[..., None] = _nothing
    advance: Callable[..., None] = _nothing
    done: Callable[..., None] = _nothing
    started: Callable[..., None] = _nothing
    stepped: Callable[..., None] = _nothing
    paired: Callable[..., None] = _nothing
    check_started: Callable[..., None] = _nothing
    check_done: Callable[..., None] = _nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None
