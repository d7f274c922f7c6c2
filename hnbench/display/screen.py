"""Everything that one call shows its user while it works, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hnbench.display import consoles
from hnbench.display.checks import VerifyDisplay
from hnbench.display.run import RunDisplay
from hnbench.display.stages import StageDisplay
from hnbench.display.training import TrainingDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hnbench.verification.reference import Reference


class Screen:
    """Progress and notes of one call on stderr, if `shown`."""

    def __init__(self, *, shown: bool) -> None:
        """Decide for the whole call whether anything is shown."""
        self.shown = shown

    def announce(self, text: str) -> None:
        """Print what begins now in a line of its own. A terminal gets no line, since it has
        bars.
        """
        console = consoles.stderr()
        if self.shown and not console.is_terminal:
            consoles.say(console, text)

    def note(self, text: str) -> None:
        """Print something that a user should know, but that no result depends on."""
        if self.shown:
            consoles.say(consoles.stderr(), f"hnbench: {text}")

    def run(self) -> RunDisplay | Silent:
        """The progress of a run."""
        return RunDisplay() if self.shown else Silent()

    def stages(self) -> StageDisplay | Silent:
        """The progress of work on a folder of images, for a `with` statement."""
        return StageDisplay() if self.shown else Silent()

    def training(self) -> TrainingDisplay | Silent:
        """The progress of a training, for a `with` statement."""
        return TrainingDisplay() if self.shown else Silent()

    def checks(self, chosen: Sequence[Reference], known: int) -> VerifyDisplay | Silent:
        """The progress of the `chosen` checks, of which `known` exist in all."""
        return VerifyDisplay(chosen, known) if self.shown else Silent()


def _nothing(_self: Silent, *_: object) -> None:
    """Show nothing."""


class Silent:
    """A progress display of any kind that shows nothing."""

    start: Callable[..., None] = _nothing
    label: Callable[..., None] = _nothing
    advance: Callable[..., None] = _nothing
    done: Callable[..., None] = _nothing
    started: Callable[..., None] = _nothing
    stepped: Callable[..., None] = _nothing
    check_started: Callable[..., None] = _nothing
    check_done: Callable[..., None] = _nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None
