"""The run folder: `run.json`, append-only journals and images. Everything else is derived from
these.

    run.json              what is measured, the plan of the latest command, the environment, one
                          entry per session
    journal-0000.jsonl    one record per line; each session writes its own journal. A journal
                          compressed by `xz` (.jsonl.xz) is read too
    images/ab/<id>.png    the image of the record with that id, which begins with `ab`

The process may be killed at any moment, thanks to the order of writing: an image is complete on the
disk before its record is written, a record is on the disk before the next one is begun, and only
the last line of a journal can be torn. A torn line is dropped; any other damage is a `StoreError`
with file and line. No part of a prompt ever enters a path.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import force_setattr

from hnbench.errors import StoreError
from hnbench.files.collection import without_collection
from hnbench.files.decoding import MalformedError
from hnbench.files.hashing import sha256_of, sha256_of_file
from hnbench.files.journal import APPENDING, parsed_lines, sealed, unsealed, whole_lines
from hnbench.files.locking import LOCK, locked
from hnbench.files.writing import append_whole, write_whole, writing
from hnbench.runs.identity import shared_identity
from hnbench.runs.manifest import MANIFEST, read_manifest
from hnbench.runs.record import Record, SavedImage, image_path, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd


@dataclass(frozen=True)
class Run:
    """The content of a run folder, without the images."""

    folder: Path
    manifest: dict[str, Any]
    """The content of `run.json`."""
    records: tuple[Record, ...]
    """The last record of every id, in the order in which the ids first appeared."""
    unchecked: int = 0
    """The number of lines without a check value, which hnbench 0.1 wrote."""

    def frame(self) -> pd.DataFrame:
        """The records as a table, one row each, with the columns of a report's `records.csv`.

        `correct` is 1, 0 or NaN; `score` is the judge's score. `reward_NAME` is a reward of the
        image, `initial_NAME` that of the base's image of the same sample. Costs are per image:
        numbers of passes, and `seconds` of wall time; `peak_memory_bytes` is that of the batch.
        """
        from hnbench.runs.frame import frame_of

        frame = frame_of(self.records).drop(columns="trajectory")
        return frame.rename(columns=lambda name: str(name).replace(":", "_"))


def damaged_images(folder: Path, records: Iterable[Record]) -> Iterator[str]:
    """The paths in the folder of the records' images that are missing, or whose SHA-256 is not that
    of their record.
    """
    return (
        record.image.path
        for record in records
        if record.image and not _is_intact(folder, record.image)
    )


def read_run(folder: Path | str) -> Run:
    """Read a run without locking it, also while a session writes to it. `StoreError` if the folder
    is not a run folder or is damaged.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise StoreError(
            f"{folder} is not a run folder: it has no {MANIFEST}. Give a folder that `hnbench run`"
            " made."
        )
    lines = _Lines(folder)
    return Run(folder, manifest, tuple(lines.records.values()), lines.unchecked)


class RunStore:
    """A run folder open for writing, by one process at a time. Use it in a `with` statement, which
    raises `StoreError` if the folder is locked by another process, or damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        """The `with` statement makes, locks and reads `folder`; until then nothing happens."""
        self.folder = Path(folder)
        self.manifest: dict[str, Any] | None = None
        self._records: dict[str, Record] = {}
        self._open = ExitStack()
        self._journal: int | None = None
        self._held: dict[Path, tuple[int, int]] = {}
        """The files of this session -> their device and inode. As long as these do not change, the
        folder is the one that was opened.
        """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(locked(self.folder))
            self._hold(self.folder / LOCK)
            self._read()
            self._open = stack.pop_all()
        return self

    def _read(self) -> None:
        self.manifest = read_manifest(self.folder)
        lines = _Lines(self.folder)
        self._records, self._unchecked = lines.records, lines.unchecked
        if self.manifest is None and self._records:
            raise StoreError(
                f"{self.folder} has journals but no {MANIFEST}; put it back, or give another"
                " folder."
            )

    def __exit__(self, *_: object) -> None:
        self._journal = None
        self._open.close()

    @property
    def records(self) -> Mapping[str, Record]:
        """The last record of every id."""
        return self._records

    def run(self) -> Run:
        """The present content of the folder, without reading it again."""
        return Run(
            self.folder, dict(self.manifest or {}), tuple(self._records.values()), self._unchecked
        )

    def is_done(self, record_id: str) -> bool:
        """Whether there is a record with this id that did not fail and still has its image."""
        record = self._records.get(record_id)
        return (
            record is not None
            and record.image is not None
            and (self.folder / record.image.path).is_file()
        )

    def begin(self, manifest: Mapping[str, Any], session: Mapping[str, Any]) -> None:
        """Write `run.json` for this session, keeping earlier sessions and trainings. `StoreError`
        if the folder belongs to another run (by `shared_identity`).
        """
        earlier = self.manifest or {}
        if earlier:
            self._refuse_other(earlier, manifest)
        training = {**earlier.get("training", {}), **manifest.get("training", {})}
        sessions = [*earlier.get("sessions", []), dict(session)]
        self.manifest = {**manifest, "training": training, "sessions": sessions}
        text = json.dumps(self.manifest, indent=1, allow_nan=False) + "\n"
        with self._keeping():
            write_whole(self.folder / MANIFEST, text.encode())
            self._hold(self.folder / MANIFEST)

    def _refuse_other(self, earlier: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        there, here = shared_identity(earlier), shared_identity(manifest)
        differing = sorted(
            name for name in there.keys() | here.keys() if there.get(name) != here.get(name)
        )
        if differing:
            listed = "; ".join(
                f"{name}: {_short(there.get(name))} there, {_short(here.get(name))} asked for"
                for name in differing
            )
            raise StoreError(
                f"{self.folder} holds another run ({listed}). Give another folder, or ask for the"
                " run that is there."
            )

    def save_image(self, record_id: str, png: bytes) -> SavedImage:
        """Write the image of a record. Even if the process is killed, the file is either complete
        or not there.
        """
        relative = image_path(record_id)
        self._require_still_there()
        with self._keeping():
            (self.folder / relative).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / relative, png)
        return SavedImage(path=relative, sha256=sha256_of(png))

    def add(self, record: Record) -> None:
        """Append a record and wait until it is on the disk. Its image must be saved already.
        `ValueError` for a record that could not be read again.
        """
        self._require_still_there()
        line = sealed(record.to_json())
        _require_readable(line)
        with self._keeping():
            if self._journal is None:
                self._journal = self._new_journal()
            append_whole(self._journal, line)
        self._records[record.id] = record

    def _new_journal(self) -> int:
        path = (
            self.folder
            / f"journal-{max(map(_number, _journals(self.folder)), default=-1) + 1:04d}.jsonl"
        )
        descriptor = os.open(path, APPENDING | os.O_EXCL, 0o666)
        self._open.callback(os.close, descriptor)
        self._hold(path)
        return descriptor

    def _hold(self, path: Path) -> None:
        self._held[path] = _inode(path)

    def _require_still_there(self) -> None:
        """Refuse to write into a folder that was removed, moved or replaced since it was opened."""
        for path, inode in self._held.items():
            try:
                there = _inode(path) == inode
            except OSError:
                there = False
            if not there:
                raise StoreError(
                    f"{path} was removed or replaced while this command was writing, so it"
                    " stopped. Put the folder back, or choose another one as `out`; the same"
                    " command then computes what is missing."
                )

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Turn a full disk, and any other reason why a file cannot be written, into one clear
        `StoreError` that says how many records are kept.
        """
        kept = (
            f"{len(self._records)} records are kept; then the same command continues."
            if self._records
            else ""
        )
        with writing(self.folder, kept):
            yield


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_intact(folder: Path, image: SavedImage) -> bool:
    path = folder / image.path
    try:
        return path.is_file() and sha256_of_file(path) == image.sha256
    except OSError:
        return False


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else f"{text[:20]}..."


_JOURNAL = re.compile(r"journal-(\d{1,9})\.jsonl(\.xz)?")


def _journals(folder: Path) -> list[Path]:
    """The journals, oldest first. Files with other names, such as a file manager's copy of one, are
    ignored.
    """
    return sorted(
        (path for path in folder.glob("journal-*") if _JOURNAL.fullmatch(path.name)),
        key=lambda path: (_number(path), path.name),
    )


def _number(path: Path) -> int:
    found = _JOURNAL.fullmatch(path.name)
    return int(found[1]) if found else -1


_SHARED = ("prompt_id", "prompt", "tag", "label", "noise_sha256")


class _Lines:
    """The last record of every id in a folder's journals, and the number of lines without a check
    value.
    """

    def __init__(self, folder: Path) -> None:
        self.records: dict[str, Record] = {}
        self.unchecked = 0
        self._texts: dict[str, str] = {}
        self._initial: dict[str, dict[str, float]] = {}
        with without_collection():
            for path in _journals(folder):
                for record, checked in parsed_lines(path, _read_line):
                    self._keep(record)
                    self.unchecked += not checked

    def _keep(self, record: Record) -> None:
        # Many records have the same texts, and those of one sample the same initial rewards.
        # Keeping one copy of each saves much of the memory, and `force_setattr` can change a frozen
        # record.
        for name in _SHARED:
            text = getattr(record, name)
            force_setattr(record, name, self._texts.setdefault(text, text))
        initial = self._initial.setdefault(record.noise_sha256, record.initial_rewards)
        if initial == record.initial_rewards:
            force_setattr(record, "initial_rewards", initial)
        self.records[record.id] = record


def _read_line(line: bytes) -> tuple[Record, bool]:
    """The record of a line, and whether it had a check value. Only records of schema 1 may have
    none.
    """
    content, checked = unsealed(line)
    record = read_record(content)
    if not checked and record.schema > 1:
        raise MalformedError("its check value is missing")
    return record, checked


def _require_readable(line: bytes) -> None:
    """Refuse to write a line that could not be read again, for example because its text is not
    valid Unicode.
    """
    try:
        read_record(unsealed(line[:-1])[0])
    except MalformedError as error:
        raise ValueError(f"a record cannot be written: {error}") from error


def place_of(folder: Path, record_id: str) -> str:
    """The journal and line of the last record with that id, for messages; the folder if no journal
    has one.
    """
    places = [
        f"{path}:{number}"
        for path in _journals(folder)
        for number, line in enumerate(whole_lines(path), start=1)
        if f'"id":"{record_id}"'.encode() in line
    ]
    return places[-1] if places else str(folder)
