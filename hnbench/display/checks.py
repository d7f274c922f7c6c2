"""The progress of `hnbench verify`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich import filesize

from hnbench.display import consoles
from hnbench.display.pace import span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.verification.check import CheckResult
    from hnbench.verification.reference import Reference


class VerifyDisplay:
    """A line for each check as it begins and as it ends (`VerifyProgress`)."""

    def __init__(self, chosen: Sequence[Reference], known: int) -> None:
        """Print the number of checks, and the most that they download."""
        # A component is downloaded once, however many checks it has.
        self._console = consoles.stderr()
        total = sum(one.download for one in {one.component: one for one in chosen}.values())
        self._now, self._began = "", 0.0
        self._say(
            f"{len(chosen)} of {known} checks; at most {filesize.decimal(total)} of downloads, less"
            " what is in the cache"
        )

    def check_started(self, number: int, total: int, reference: Reference) -> None:
        """Print the check's name and purpose."""
        self._now, self._began = f"[{number}/{total}] {reference.name}", time.monotonic()
        self._say(f"{self._now}: {reference.about}")

    def check_done(self, result: CheckResult) -> None:
        """Print the check's result."""
        self._now = ""
        why = f": {result.why}" if result.why else ""
        self._say(f"    {result.verdict}{why} ({result.seconds:.0f} s)")

    def line(self) -> str:
        """The check that runs now, and for how long; empty between checks."""
        return (
            f"{self._now}: running for {span(time.monotonic() - self._began)}" if self._now else ""
        )

    def _say(self, text: str) -> None:
        consoles.say(self._console, text)
