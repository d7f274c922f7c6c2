"""Append-only files of JSON lines, for one writer at a time: what was computed is on the disk before the next is begun.

Only the last line can be torn, by a process that was killed while it wrote; it is dropped. Any other damage is a `StoreError` with
file and line.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from filelock import FileLock, Timeout

from hnbench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

T = TypeVar("T")


def read_lines(path: Path, parse: Callable[[Any], T]) -> list[T]:
    """The whole lines of a file, none where there is no file. `parse` says by a ValueError, KeyError or TypeError what a line is not."""
    return _parsed(path, _whole(path.read_bytes() if path.exists() else b""), parse)


def _whole(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _parsed(path: Path, content: bytes, parse: Callable[[Any], T]) -> list[T]:
    found = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            found.append(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}:{number} is damaged ({error}); remove that line, and what it held is computed again.") from error
    return found


class Journal(Generic[T]):
    """A file of lines that one process writes. Use it in a `with` statement, which locks its folder and reads what is there."""

    def __init__(self, path: Path, parse: Callable[[Any], T]) -> None:
        """Name the file; its folder is made on entering the `with` statement."""
        self.path, self._parse = path, parse
        self.lines: list[T] = []
        """What the lines say, in their order."""
        self._lock = FileLock(path.parent / ".lock", timeout=0)

    def __enter__(self) -> Self:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise StoreError(f"{folder} is in use by another process; wait for it to end, or give another folder by --out.") from None
        except OSError as error:
            raise StoreError(f"{folder} cannot be written to ({error.strerror}); give another folder by --out.") from error
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
            whole = _whole(content)
            self.lines = _parsed(self.path, whole, self._parse)
            if len(whole) < len(content):
                os.truncate(self.path, len(whole))
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def add(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Append lines, and wait until they are on the disk."""
        texts = [json.dumps(value, separators=(",", ":"), allow_nan=False) for value in values]
        try:
            with self.path.open("ab") as file:
                file.write("".join(f"{text}\n" for text in texts).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error.strerror}); make room, and the same command continues.") from error
        self.lines += [self._parse(json.loads(text)) for text in texts]
