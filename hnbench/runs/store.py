"""The run folder: `run.json`, append-only journals and images. Everything else is derived from these.

    run.json              what is measured, the plan of the latest command, the environment, one entry per session
    journal-0000.jsonl    one record per line; each session writes a journal of its own. Compressed by `xz`, it is read as well
    images/ab/<id>.png    the image of the record with that id

The order of writing makes every moment a good moment to be killed: an image is complete on the disk before its record
is written, a record is on the disk before the next one is begun, and only the last line of a journal can be torn. A torn line
is dropped; any other damage is a `StoreError` with file and line. Nothing of a prompt ever enters a path.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from hnbench.errors import StoreError
from hnbench.journal import content_of
from hnbench.runs.identity import shared_identity
from hnbench.runs.record import SCHEMA, Record, SavedImage
from hnbench.writing import cannot_write, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MANIFEST = "run.json"
_BINARY: int = getattr(os, "O_BINARY", 0)
"""Windows would write another end of line."""


@dataclass(frozen=True)
class Run:
    """A run as it lies on the disk."""

    folder: Path
    manifest: dict[str, Any]
    """The content of `run.json`."""
    records: tuple[Record, ...]
    """The last record of every id, in the order in which the ids first appeared."""

    def damaged_images(self) -> list[Record]:
        """The done records whose image is missing or is not the file that was written (by SHA-256)."""
        return [record for record in self.records if record.image and not _is_intact(self.folder, record.image)]


def read_run(folder: Path | str) -> Run:
    """Read a run without locking it; a session that is writing to it does not disturb."""
    folder = Path(folder)
    manifest = _read_manifest(folder)
    if manifest is None:
        raise StoreError(f"{folder} is not a run folder: it has no {_MANIFEST}. Give a folder that `hnbench run` made.")
    return Run(folder, manifest, tuple(_read_records(folder).values()))


class RunStore:
    """A run folder open for writing, by one process at a time. Use it in a `with` statement."""

    def __init__(self, folder: Path | str) -> None:
        """Name the folder; it is made, locked and read on entering the `with` statement."""
        self.folder = Path(folder)
        self.manifest: dict[str, Any] | None = None
        self._records: dict[str, Record] = {}
        self._lock = FileLock(self.folder / ".lock", timeout=0)
        self._journal: int | None = None
        self._held: dict[Path, tuple[int, int]] = {}
        """The files of this session by device and inode: while they are there, the folder is the one that was opened."""

    def __enter__(self) -> Self:
        with self._keeping():
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise StoreError(f"{self.folder} is in use by another process; wait for it to end, or give another folder.") from None
        except OSError as error:
            raise StoreError(cannot_write(self.folder, error)) from error
        try:
            self._hold(self.folder / ".lock")
            self._read()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _read(self) -> None:
        self.manifest = _read_manifest(self.folder)
        self._records = _read_records(self.folder)
        if self.manifest is None and self._records:
            raise StoreError(f"{self.folder} has journals but no {_MANIFEST}; put it back, or give another folder.")

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None
        self._lock.release()

    @property
    def records(self) -> Mapping[str, Record]:
        """The last record of every id."""
        return self._records

    def is_done(self, record_id: str) -> bool:
        """Whether the record is there, is not a failed one, and still has its image."""
        record = self._records.get(record_id)
        return record is not None and record.image is not None and (self.folder / record.image.path).is_file()

    def begin(self, manifest: Mapping[str, Any], session: Mapping[str, Any]) -> None:
        """Write `run.json` for this session. The folder of another run (by `shared_identity`) is a `StoreError`."""
        earlier = self.manifest or {}
        if earlier:
            self._refuse_other(earlier, manifest)
        training = {**earlier.get("training", {}), **manifest.get("training", {})}
        sessions = [*earlier.get("sessions", []), dict(session)]
        self.manifest = {**manifest, "training": training, "sessions": sessions}
        text = json.dumps(self.manifest, indent=1, allow_nan=False) + "\n"
        with self._keeping():
            _write_atomically(self.folder / _MANIFEST, text.encode())
            self._hold(self.folder / _MANIFEST)

    def _refuse_other(self, earlier: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        there, here = shared_identity(earlier), shared_identity(manifest)
        differing = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
        if differing:
            listed = "; ".join(f"{name}: {_short(there.get(name))} there, {_short(here.get(name))} asked for" for name in differing)
            raise StoreError(f"{self.folder} holds another run ({listed}). Give another folder, or ask for the run that is there.")

    def save_image(self, record_id: str, png: bytes) -> SavedImage:
        """Write the image of a record: complete on the disk, or not there at all, whenever the process is killed."""
        relative = f"images/{record_id[:2]}/{record_id}.png"
        self._require_still_there()
        with self._keeping():
            (self.folder / relative).parent.mkdir(parents=True, exist_ok=True)
            _write_atomically(self.folder / relative, png)
        return SavedImage(path=relative, sha256=hashlib.sha256(png).hexdigest())

    def add(self, record: Record) -> None:
        """Append a record and wait until it is on the disk. Its image must have been saved before."""
        self._require_still_there()
        line = json.dumps(record.to_json(), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._keeping():
            if self._journal is None:
                self._journal = self._new_journal()
            start = os.lseek(self._journal, 0, os.SEEK_END)
            try:
                _write_all(self._journal, line)
                os.fsync(self._journal)
            except OSError:
                os.ftruncate(self._journal, start)
                raise
        self._records[record.id] = record

    def _new_journal(self) -> int:
        numbers = [int(path.name.removeprefix("journal-").partition(".")[0]) for path in _journals(self.folder)]
        path = self.folder / f"journal-{max(numbers, default=-1) + 1:04d}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _BINARY, 0o666)
        self._hold(path)
        return descriptor

    def _hold(self, path: Path) -> None:
        self._held[path] = _inode(path)

    def _require_still_there(self) -> None:
        """Refuse to write into a folder that was removed, moved or opened by another process since this one opened it."""
        for path, inode in self._held.items():
            try:
                there = _inode(path) == inode
            except OSError:
                there = False
            if not there:
                raise StoreError(
                    f"{path} was removed or replaced while this command was writing, so it has stopped. "
                    "Put the folder back, or give another one by --out; the same command then computes what is not there."
                )

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Turn a full disk, and whatever else keeps a file from being written, into one clear error."""
        kept = f"{len(self._records)} records are kept; then the same command continues." if self._records else ""
        with writing(self.folder, kept):
            yield


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_intact(folder: Path, image: SavedImage) -> bool:
    path = folder / image.path
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == image.sha256


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else f"{text[:20]}..."


def _journals(folder: Path) -> list[Path]:
    return sorted((*folder.glob("journal-[0-9]*.jsonl"), *folder.glob("journal-[0-9]*.jsonl.xz")))


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / _MANIFEST
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    value = _parse(text, str(path))
    try:
        shared_identity(value)
    except (KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged: {error} is missing or has the wrong type.") from error
    return value


def _read_records(folder: Path) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for path in _journals(folder):
        lines = content_of(path).split(b"\n")[:-1]  # what follows the last newline is a torn line, or nothing
        for number, line in enumerate(lines, start=1):
            place = f"{path}:{number}"
            try:
                record = Record.from_json(_parse(line, place))
            except ValueError as error:
                raise StoreError(f"{place} is damaged: {error}. Remove that line to have its sample computed again.") from error
            records[record.id] = record
    return records


def _parse(text: bytes, place: str) -> dict[str, Any]:
    """A JSON object of a schema that this version knows."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StoreError(f"{place} is damaged: it is not JSON ({error}).") from error
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, int) or schema < 1:
        raise StoreError(f"{place} is damaged: it has no schema version.")
    if schema > SCHEMA:
        raise StoreError(
            f"{place} was written by a newer hnbench: schema {schema}, and this version reads up to {SCHEMA}. "
            "Upgrade hnbench, or give another folder."
        )
    checked: dict[str, Any] = value
    return checked


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o666)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)  # noqa: PTH105 - the same call by its usual name


def _write_all(descriptor: int, content: bytes) -> None:
    """`os.write` may write a part only."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
