"""Append-only files of JSON lines, for one writer at a time: what was computed is on the disk
before the next is begun.

Only the last line can be torn, by a process that was killed while it wrote; it is dropped. Any
other damage is a `StoreError` with file and line. Each line ends with a check value of its own
content, so that a changed byte is seen (a person who changes the check value too is not). Lines of
older versions have none. A file that was compressed by `xz` is read as well; new lines go to a file
next to it.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec
from filelock import FileLock, Timeout

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.writing import cannot_write, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

_OPENING, _DIGITS, _CLOSING = b',"check":"', 8, b'"}'
_SEAL = len(_OPENING) + _DIGITS + len(_CLOSING)
SMALL = 64_000_000
"""Bytes that any compressed journal may have unpacked."""
LARGEST_RATIO = 100
"""How many times its size a larger one may have: journals shrink by 10, and a bomb by thousands."""


def read_lines(path: Path, parse: Callable[[Any], T]) -> list[T]:
    """The whole lines of `path.xz` and of `path`, of those that are there.

    `parse` says by a ValueError, KeyError or TypeError what a line is not.
    """
    return [
        line for each in (_packed(path), path) if _is_there(each) for line in _parsed(each, parse)
    ]


def sealed(value: Any) -> bytes:
    """A JSON object (or a `msgspec.Struct`) as one line with its check value. A number that is not
    finite is a `ValueError`.
    """
    body = json.dumps(msgspec.to_builtins(value), separators=(",", ":"), allow_nan=False).encode()
    return body[:-1] + _OPENING + _check_of(body) + _CLOSING + b"\n"


def unsealed(line: bytes) -> tuple[bytes, bool]:
    """The object of a line without its check value, and whether it had one; a `MalformedError`
    where the two do not fit.
    """
    tail = line[-_SEAL:]
    if not (tail.startswith(_OPENING) and tail.endswith(_CLOSING)):
        return line, False
    body = line[:-_SEAL] + b"}"
    if _check_of(body) != tail[len(_OPENING) : -len(_CLOSING)]:
        raise MalformedError(
            "it was changed after it was written: its check value is of another content"
        )
    return body, True


def _check_of(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_DIGITS].encode()


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends, unpacked where its name ends in `.xz`; what follows
    the last end is torn, and left out.

    Whatever is not a file, or cannot be read or unpacked, is a `StoreError`; so is a file that
    unpacks to far more than a journal would.
    """
    if not path.is_file():
        raise StoreError(
            f"{path} is not a file; put the journal back, or remove it, and what it held is"
            " computed again."
        )
    try:
        with path.open("rb") as file:
            if path.suffix != ".xz":
                yield from _without_ends(file)
                return
            limit = max(SMALL, LARGEST_RATIO * path.stat().st_size)
            with lzma.LZMAFile(file) as unpacked:
                yield from _without_ends(_limited(path, unpacked, limit))
    except (lzma.LZMAError, EOFError) as error:
        raise StoreError(_damaged(path, str(error))) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def _without_ends(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line[:-1] for line in lines if line.endswith(b"\n"))


def _limited(path: Path, file: lzma.LZMAFile, limit: int) -> Iterator[bytes]:
    while line := file.readline(limit + 1):
        limit -= len(line)
        if limit < 0:
            raise StoreError(_damaged(path, "it has far more bytes unpacked than a journal would"))
        yield line


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path} is damaged: {why}. Put a whole copy back, or remove it, and what it held is"
        " computed again."
    )


def _is_there(path: Path) -> bool:
    """Whether there is anything of that name, be it a link to nothing."""
    return os.path.lexists(path)


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.xz")


def _parsed(path: Path, parse: Callable[[Any], T]) -> list[T]:
    found = []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            found.append(parse(decode(unsealed(line)[0], dict)))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path}:{number} is damaged ({error}); remove that line, and what it held is"
                " computed again."
            ) from error
    return found


class Journal(Generic[T]):
    """A file of lines that one process writes. Use it in a `with` statement, which locks its folder
    and reads what is there.
    """

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
            raise StoreError(
                f"{folder} is in use by another process; wait for it to end, or choose another"
                " folder as `out`."
            ) from None
        except OSError as error:
            raise StoreError(f"{cannot_write(folder, error)} as `out`.") from error
        try:
            self.lines = read_lines(self.path, self._parse)
            if _is_there(self.path):
                os.truncate(self.path, sum(len(line) + 1 for line in whole_lines(self.path)))
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def add(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Append lines, and wait until they are on the disk."""
        lines = [sealed(value) for value in values]
        with (
            writing(self.path, "What was written is kept; then the same command continues."),
            self.path.open("ab") as file,
        ):
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        self.lines += [self._parse(decode(unsealed(line[:-1])[0], dict)) for line in lines]
