"""What the processes do that are killed, and what they tell of it through a pipe. Imported once, by
the server that forks them.

`record KEY` is the news that the write of a record has returned, `file PATH` that a file is about
to be opened, renamed or deleted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import peft
import torch
import torchvision

import hnbench.cli.display
import hnbench.images.export
import hnbench.images.layouts
import hnbench.images.measuring
import hnbench.runs.execute
import hnbench.weights.pictures
from hnbench.catalogue import registry
from hnbench.cli.app import main
from hnbench.files.journal import Journal
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.folder import State, TrainingFolder
from hnbench.hypernetwork.trainer import Trainer
from hnbench.reports.plots import PLOTS
from hnbench.reports.report import write_report
from hnbench.runs.record import Record
from hnbench.runs.store import RunStore, read_run
from hnbench.seeds import digest
from tests.toy_plugins import toy_registries

_TAKE_LONG_TO_IMPORT = (hnbench, peft, torchvision, Trainer, write_report)
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
_FEW_PLOTS = 1
SAVE_EVERY = 2
"""Steps of a training between two saved states."""


class Work:
    """One process: where it works, and whom it tells."""

    def __init__(self, folder: Path, pipe: Connection) -> None:
        self.folder, self._pipe = folder, pipe

    def record(self, key: str) -> None:
        """A record is written."""
        self._pipe.send_bytes(f"record {key}".encode())

    def _event(self, name: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if name == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        else:
            path, changes = arguments[0] if arguments else None, name in _CHANGES
        if changes and isinstance(path, (str, bytes, os.PathLike)):
            place = Path(os.fsdecode(path)).absolute()
            if place.is_relative_to(self.folder):
                self._pipe.send_bytes(f"file {place.relative_to(self.folder)}".encode())

    def listen(self) -> None:
        """Tell of every change of a file in the folder from now on, and of every record."""
        sys.addaudithook(self._event)
        _after(RunStore, "add", lambda _, record: self.record(record.id))
        _after(TrainingFolder, "save", lambda _, state: self.record(str(state.step)))
        add = Journal.add

        def add_and_tell(journal: Journal[Any], values: Iterable[Mapping[str, Any]]) -> None:
            listed = list(values)
            add(journal, listed)
            for value in listed:
                self.record(digest(value))

        Journal.add = add_and_tell  # type: ignore[assignment, method-assign]


def _after(kind: type, name: str, tell: Callable[[Any, Any], None]) -> None:
    """Have a method of one argument tell when it has returned."""
    method = getattr(kind, name)

    def call(self: RunStore | TrainingFolder, value: Record | State) -> None:
        method(self, value)
        tell(self, value)

    setattr(kind, name, call)


def store(work: Work, reference: str) -> None:
    """Copy the run `reference` into `folder/run`, record by record: those that are not there
    yet.
    """
    run = read_run(reference)
    manifest = {name: value for name, value in run.manifest.items() if name != "sessions"}
    with RunStore(work.folder / "run") as target:
        target.begin(manifest, run.manifest["sessions"][0])
        for record in run.records:
            if not target.is_done(record.id):
                assert record.image is not None
                target.save_image(record.id, (run.folder / record.image.path).read_bytes())
                target.add(record)


def command(work: Work, *arguments: str) -> None:
    """A command line in the folder, with toys for models, few plots and frequent states."""
    os.chdir(work.folder)
    for name, toys in toy_registries().items():
        setattr(registry, name, toys)
    for name in list(PLOTS)[_FEW_PLOTS:]:
        del PLOTS[name]
    defaults = TrainingConfig.__init__.__kwdefaults__
    assert defaults is not None
    defaults["save_every"] = SAVE_EVERY
    sys.argv = ["hnbench", *arguments]
    main()


def child(
    task: Callable[..., None],
    folder: Path,
    arguments: Sequence[str],
    pipe: Connection,
    output: Path,
) -> None:
    """A process's beginning: its output goes to a file."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)
    work = Work(folder, pipe)
    work.listen()
    task(work, *arguments)
