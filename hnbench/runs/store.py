"""The run folder: `run.json`, append-only journals and images. Everything else is derived from
these.

    run.json              what is measured, the plan of the latest command, the environment, one
                          entry per session
    journal-0000.jsonl    one record per line; each session writes its own journal. One that is
                          compressed by `xz` (.jsonl.xz) or packed (.columns.xz) is read too
                          (`hnbench.runs.journals`, `hnbench.runs.packed`)
    images/ab/<id>.png    the image of the record with that id, which begins with `ab`

The process may be killed at any moment, thanks to the order of writing: an image is complete on the
disk before its record is written, a record is on the disk before the next one is begun, and only
the last line of a journal can be torn. A torn line is dropped; any other damage is a `StoreError`
with file and line. No part of a prompt ever enters a path.

Several processes may write at the same time, also on different machines, if each has its own shard
(`hnbench.runs.shards`). They share only `run.json`, which one of them at a time reads, joins and
writes.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError
from hnbench.files.hashing import sha256_of, sha256_of_file
from hnbench.files.journal import APPENDING, sealed, unsealed
from hnbench.files.sharing import gate, part_locked
from hnbench.files.writing import append_whole, write_whole, writing
from hnbench.runs.identity import differences
from hnbench.runs.journals import JournalReader, journal_name, next_number, preferred
from hnbench.runs.manifest import MANIFEST, read_manifest
from hnbench.runs.record import Record, SavedImage, image_path, read_record
from hnbench.runs.sessions import joined, with_journal
from hnbench.runs.shards import WHOLE, Shard

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
    """The record that counts for every id, in the order in which the ids first appeared."""
    unchecked: int = 0
    """The number of lines without a check value, which hnbench 0.1 wrote."""

    def frame(self) -> pd.DataFrame:
        """The records as a table, one row each, with the columns of a report's `records.csv`.

        `correct` is 1, 0 or NaN; `score` is the judge's score. `reward_NAME` is a reward of the
        image, `initial_NAME` that of the base's image of the same sample. Costs are per image:
        numbers of passes (`passes_...`), `tflops` (10^12 floating-point operations), and `seconds`
        of wall time; `peak_memory_bytes` is that of the batch on a GPU. `docs/run-format.md`
        describes every column.
        """
        from hnbench.runs.frame import frame_of, on_cpu

        cpu_seeds = {record.base_seed for record in self.records} if on_cpu(self.manifest) else ()
        frame = frame_of(self.records, cpu_seeds).drop(columns="trajectory")
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


def with_image(folder: Path, records: Iterable[Record]) -> set[str]:
    """The ids of the records that have an image, whose file is there."""
    found = {record.id: record.image.path for record in records if record.image}
    # Each folder of images is listed once: asking for a file at a time takes several times as long.
    there = {
        f"{parent}/{entry.name}"
        for parent in {path.rpartition("/")[0] for path in found.values()}
        for entry in _entries(folder / parent)
        if entry.is_file()
    }
    return {record_id for record_id, path in found.items() if path in there}


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # it is not there, or not a folder
        return []


def read_run(folder: Path | str, reader: JournalReader | None = None) -> Run:
    """Read a run without locking it, also while a session writes to it. A `reader` of the folder
    gives what it has read before, if that has not changed. `StoreError` if the folder is not a run
    folder or is damaged.
    """
    folder = Path(folder)
    manifest = manifest_of(folder)
    union = (reader or JournalReader(folder)).union()
    return Run(folder, manifest, tuple(union.records.values()), union.unchecked)


def manifest_of(folder: Path) -> dict[str, Any]:
    """The content of a run's `run.json`. `StoreError` if the folder is not a run folder, or if the
    file is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise StoreError(
            f"{folder} is not a run folder: it has no {MANIFEST}. Give a folder that `hnbench run`"
            " made."
        )
    return manifest


def manifest_text(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a `run.json`."""
    return f"{json.dumps(manifest, indent=1, allow_nan=False)}\n".encode()


class RunStore:
    """A run folder open for writing, by one process at a time for each shard. Use it in a `with`
    statement, which raises `StoreError` if another process works on a prompt of the shard, or if
    the folder is damaged.
    """

    def __init__(
        self, folder: Path | str, shard: Shard = WHOLE, reader: JournalReader | None = None
    ) -> None:
        """The `with` statement makes, locks and reads `folder`; until then nothing happens. What a
        `reader` of the folder has read before is not read again, if it has not changed.
        """
        self.folder, self.shard = Path(folder), shard
        self._reader = reader or JournalReader(self.folder)
        self.manifest: dict[str, Any] | None = None
        self._records: dict[str, Record] = {}
        self._unchecked = 0
        self._open = ExitStack()
        self._session: dict[str, Any] = {}
        self._journal: int | None = None
        self._held: dict[Path, tuple[int, int]] = {}
        """The folder, and the files of this session -> their device and inode. As long as these do
        not change, the folder is the one that was opened.
        """
        # Two writers must never have the same temporary file.
        self._ending = ".tmp" if shard.whole else f".{shard.index}-of-{shard.count}.tmp"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            lock = stack.enter_context(part_locked(self.folder, self.shard.index, self.shard.count))
            self._hold(self.folder)
            self._hold(lock)
            self.manifest = read_manifest(self.folder)
            self.refresh()
            if self.manifest is None and self._records:
                raise StoreError(
                    f"{self.folder} has journals but no {MANIFEST}; put it back, or give another"
                    " folder."
                )
            self._open = stack.pop_all()
        return self

    def refresh(self) -> None:
        """Read all journals, also those that other processes have written meanwhile."""
        union = self._reader.union()
        # A copy: the records that are added here are not what the reader has read.
        self._records, self._unchecked = dict(union.records), union.unchecked

    def __exit__(self, *_: object) -> None:
        self._journal = None
        self._open.close()

    @property
    def records(self) -> Mapping[str, Record]:
        """The record that counts for every id. Those of other processes are up to date after
        `refresh`.
        """
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
        self._require_still_there()
        with gate(self.folder):
            # Another process may have written it since this one began.
            earlier = read_manifest(self.folder) or {}
            if earlier and (differing := differences(earlier, manifest)):
                raise StoreError(
                    f"{self.folder} holds another run ({differing}). Give another folder, or ask"
                    " for the run that is there."
                )
            self._session = dict(session)
            sessions = [*earlier.get("sessions", []), session]
            self._write_manifest(joined(earlier, manifest, sessions))

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write `run.json`. The gate must be held."""
        with self._keeping():
            write_whole(self.folder / MANIFEST, manifest_text(manifest), self._ending)
        self.manifest = manifest
        self._hold(self.folder / MANIFEST)

    def save_image(self, record_id: str, png: bytes) -> SavedImage:
        """Write the image of a record. Even if the process is killed, the file is either complete
        or not there.
        """
        relative = image_path(record_id)
        self._require_still_there()
        with self._keeping():
            (self.folder / relative).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / relative, png, self._ending)
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
        self._records[record.id] = preferred(self._records.get(record.id), record)

    def _new_journal(self) -> int:
        for number in count(next_number(self.folder)):
            path = self.folder / journal_name(number)
            try:
                # O_EXCL fails if the file exists: a session never writes into the journal of
                # another one.
                descriptor = os.open(path, APPENDING | os.O_EXCL, 0o666)
                break
            except FileExistsError:  # another process was quicker
                continue
        self._open.callback(os.close, descriptor)
        self._hold(path)
        if self._session:
            with gate(self.folder):
                there = read_manifest(self.folder) or self.manifest or {}
                self._write_manifest(with_journal(there, self._session, path.name))
        return descriptor

    def _hold(self, path: Path) -> None:
        self._held[path] = _inode(path)

    def _require_still_there(self) -> None:
        """Refuse to write into a folder that was removed, moved or replaced since it was opened."""
        for path, inode in self._held.items():
            if _inode_if_there(path) != inode and not self._was_joined(path):
                raise StoreError(
                    f"{path} was removed or replaced while this command was writing, so it"
                    " stopped. Put the folder back, or choose another one as `out`; the same"
                    " command then computes what is missing."
                )

    def _was_joined(self, path: Path) -> bool:
        """Whether it is `run.json`, and another session of this run has written it since."""
        if path.name != MANIFEST or self.manifest is None:
            return False
        there = read_manifest(self.folder)
        if there is None or differences(there, self.manifest):
            return False
        self._held[path] = _inode(path)
        return True

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


def _inode_if_there(path: Path) -> tuple[int, int] | None:
    try:
        return _inode(path)
    except OSError:
        return None


def _is_intact(folder: Path, image: SavedImage) -> bool:
    path = folder / image.path
    try:
        return path.is_file() and sha256_of_file(path) == image.sha256
    except OSError:
        return False


def _require_readable(line: bytes) -> None:
    """Refuse to write a line that could not be read again, for example because its text is not
    valid Unicode.
    """
    try:
        read_record(unsealed(line[:-1])[0])
    except MalformedError as error:
        raise ValueError(f"a record cannot be written: {error}") from error
