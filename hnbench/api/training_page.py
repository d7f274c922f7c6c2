"""Keeps the page of a training up to date while it works."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hnbench.files.writing import writing
from hnbench.hypernetwork.card import add_curves, has_curves
from hnbench.reports.training.curves import FILES
from hnbench.reports.training.page import write_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hnbench.hypernetwork.trainer import TrainingProgress

PAUSE = 60.0
"""The least number of seconds between two pages. Drawing one takes seconds."""


class PageProgress:
    """Passes a training's progress on, and writes its page when a state is due to be saved."""

    def __init__(self, folder: Path, save_every: int, shown: TrainingProgress) -> None:
        """Write into `folder` after every `save_every` steps, but not more often than `PAUSE`."""
        self._folder, self._save_every, self._shown = folder, save_every, shown
        self._last: float | None = None

    def started(self, step: int, total: int) -> None:
        """The folder belongs to this training now."""
        self._last = time.monotonic()
        self._shown.started(step, total)

    def stepped(self, record: Mapping[str, Any]) -> None:
        """Show a step, and write the page if it is time."""
        self._shown.stepped(record)
        due = record["step"] and record["step"] % self._save_every == 0
        if due and self._last is not None and time.monotonic() - self._last >= PAUSE:
            write_page(self._folder)
            self._last = time.monotonic()

    @property
    def begun(self) -> bool:
        """Whether the training has begun, so that the folder is its own."""
        return self._last is not None


@contextmanager
def with_page(
    folder: Path, save_every: int, shown: TrainingProgress, *, main: bool
) -> Iterator[TrainingProgress]:
    """The progress to train with in the block. The page is written at its end too, with the curves
    in the adapter's model card, and when it is interrupted. Only the `main` process writes.
    """
    if not main:
        yield shown
        return
    progress = PageProgress(folder, save_every, shown)
    try:
        yield progress
    except KeyboardInterrupt:
        if progress.begun:
            write_page(folder)
        raise
    adapter = folder / "adapter"
    # A process that was killed between the adapter and its page leaves the page to the next one.
    if progress.begun or not has_curves(adapter):
        write_page(folder)
        with writing(adapter, "The adapter itself is kept."):
            add_curves(adapter, (folder / FILES[0]).read_bytes())
