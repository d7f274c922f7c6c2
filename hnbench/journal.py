"""Append-only files of JSON lines, for one writer at a time: what was computed is on the disk before the next is begun.

Only the last line can be torn, by a process that was killed while it wrote; it is dropped. Any other damage is a `StoreError` with
file and line. A file that was compressed by `xz` is read as well; new lines go to a file beside it.
"""

from __future__ import annotations

import json
import lzma
import os
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from filelock import FileLock, Timeout

from hnbench.errors import StoreError
from hnbench.writing import cannot_write, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

T = TypeVar("T")


def read_lines(path: Path, parse: Callable[[Any], T]) -> list[T]:
    """The whole lines of `path.xz` and of `path`, of those that are there.

    `parse` says by a ValueError, KeyError or TypeError what a line is not.
    """
    return [line for each in (_packed(path), path) if each.exists() for line in _parsed(each, _whole(content_of(each)), parse)]


def content_of(path: Path) -> bytes:
    """The bytes of a file, unpacked where its name ends in `.xz`; what cannot be unpacked is a `StoreError`."""
    content = path.read_bytes()
    if path.suffix != ".xz":
        return content
    try:
        return lzma.decompress(content)
    except lzma.LZMAError as error:
        raise StoreError(f"{path} is damaged: {error}. Put a whole copy back, or remove it, and what it held is computed again.") from error


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.xz")


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
            raise StoreError(f"{cannot_write(folder, error)}, by --out.") from error
        try:
            self.lines = read_lines(self.path, self._parse)
            if self.path.exists():
                os.truncate(self.path, len(_whole(self.path.read_bytes())))
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def add(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Append lines, and wait until they are on the disk."""
        texts = [json.dumps(value, separators=(",", ":"), allow_nan=False) for value in values]
        with writing(self.path, "What was written is kept; then the same command continues."), self.path.open("ab") as file:
            file.write("".join(f"{text}\n" for text in texts).encode())
            file.flush()
            os.fsync(file.fileno())
        self.lines += [self._parse(json.loads(text)) for text in texts]
