"""Append-only files of JSON lines, for one writer at a time: each result is on the disk before the
next computation begins.

Only the last line can be torn, by a process that was killed while writing; it is dropped. Any other
damage is a `StoreError` with file and line. Each line ends with a check value of its content, so
that a changed byte is noticed (unless somebody changes the check value too). Lines of older
versions have none. A file that was compressed with `xz` is read as well; new lines go to a plain
file next to it.
"""

from __future__ import annotations

import json
import lzma
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError, NewerSchemaError, decode
from hnbench.files.hashing import sha256_of
from hnbench.files.locking import locked
from hnbench.files.writing import BINARY, append_whole, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

_OPENING, _DIGITS, _CLOSING = b',"check":"', 8, b'"}'
_SEAL = len(_OPENING) + _DIGITS + len(_CLOSING)
APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY
"""The flags for opening a journal (`os.open`)."""
SMALL = 64_000_000
"""The largest unpacked size in bytes that every compressed journal may have."""
LARGEST_RATIO = 100
"""The largest ratio of sizes beyond that: journals shrink by about 10, a zip bomb by thousands."""


def read_lines(path: Path, parse: Callable[[Any], T]) -> list[T]:
    """The parsed lines of `path.xz`, then of `path`; either file may be missing.

    `parse` raises a `ValueError`, `KeyError` or `TypeError` for a wrong line (see `parsed_lines`).
    """
    return [
        value
        for each in (_packed(path), path)
        if _is_there(each)
        for value in parsed_lines(each, lambda line: parse(decode(unsealed(line)[0], dict)))
    ]


def parsed_lines(path: Path, parse: Callable[[bytes], T]) -> Iterator[T]:
    """Each of `whole_lines`, parsed, in order.

    `parse` raises a `ValueError`, `KeyError` or `TypeError` for a wrong line; it becomes a
    `StoreError` with file and line. A line of a newer schema is a `StoreError` too.
    """
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            value = parse(line)
        except NewerSchemaError as error:
            raise StoreError(f"{path}:{number} cannot be used: {error}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path}:{number} is damaged ({error}); remove that line, and what it held is"
                " computed again."
            ) from error
        yield value


def sealed(value: Any) -> bytes:
    """A JSON object (or a `msgspec.Struct`) as one line with its check value. Numbers that are not
    finite are a `ValueError`.
    """
    body = json.dumps(msgspec.to_builtins(value), separators=(",", ":"), allow_nan=False).encode()
    return body[:-1] + _OPENING + _check_of(body) + _CLOSING + b"\n"


def unsealed(line: bytes) -> tuple[bytes, bool]:
    """The object of a line without its check value, and whether it had one. A wrong check value is
    a `MalformedError`.
    """
    tail = line[-_SEAL:]
    if not (tail.startswith(_OPENING) and tail.endswith(_CLOSING)):
        return line, False
    body = line[:-_SEAL] + b"}"
    if _check_of(body) != tail[len(_OPENING) : -len(_CLOSING)]:
        raise MalformedError(
            "it was changed after it was written: its check value belongs to other content"
        )
    return body, True


def _check_of(body: bytes) -> bytes:
    return sha256_of(body)[:_DIGITS].encode()


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends, unpacked if its name ends in `.xz`. A torn last line,
    without an end, is left out.

    Anything that is not a file, or cannot be read or unpacked, is a `StoreError`; so is a file that
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
    """Whether anything has that name, even a link to nothing."""
    return os.path.lexists(path)


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.xz")


class Journal(Generic[T]):
    """A file of lines that one process writes. Use it in a `with` statement, which locks its folder
    and reads the existing lines.
    """

    def __init__(self, path: Path, parse: Callable[[Any], T]) -> None:
        """Name the file; its folder is made on entering the `with` statement."""
        self.path, self._parse = path, parse
        self.lines: list[T] = []
        """The parsed lines, in order."""
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(locked(self.path.parent))
            self.lines = read_lines(self.path, self._parse)
            if _is_there(self.path):
                # Without its torn last line, or the next line would be appended to that one.
                os.truncate(self.path, sum(len(line) + 1 for line in whole_lines(self.path)))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Append lines, and wait until they are on the disk."""
        lines = [sealed(value) for value in values]
        with writing(self.path, "What was written is kept; then the same command continues."):
            descriptor = os.open(self.path, APPENDING, 0o666)
            try:
                append_whole(descriptor, b"".join(lines))
            finally:
                os.close(descriptor)
        # Parsed from their bytes, exactly as the next session will read them.
        self.lines += [self._parse(decode(unsealed(line[:-1])[0], dict)) for line in lines]
