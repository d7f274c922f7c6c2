"""Append-only files of JSON lines, each for one writer at a time: each result is on the disk before
the next computation begins. Several processes write next to each other, each into its own file, and
what counts is the lines of all.

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
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError, NewerSchemaError, decode
from hnbench.files.hashing import sha256_of
from hnbench.files.sharing import part_locked
from hnbench.files.writing import BINARY, append_whole, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")

_OPENING, _DIGITS, _CLOSING = b',"check":"', 8, b'"}'
_SEAL = len(_OPENING) + _DIGITS + len(_CLOSING)
APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY
"""The flags for opening a journal (`os.open`)."""
SMALL = 64_000_000
"""The largest unpacked size in bytes that every compressed journal may have."""
LARGEST_RATIO = 100
"""The largest ratio of sizes beyond that: journals shrink by about 10, packed ones by about 25, and
a zip bomb by thousands.
"""
TOO_LARGE = "it has far more bytes unpacked than a journal would"
"""Why a compressed journal beyond that is refused."""


def read_lines(path: Path, parse: Callable[[Any], T]) -> list[T]:
    """The parsed lines of `path.xz` and `path`, then those of the parts that several processes have
    written (`part_of`), by name. Any of these files may be missing.

    `parse` raises a `ValueError`, `KeyError` or `TypeError` for a wrong line (see `parsed_lines`).
    """
    return [value for each in files_of(path) for value in _parsed(each, parse)]


def files_of(path: Path) -> list[Path]:
    """The files that `read_lines` reads, in its order."""
    named = [each for one in (path, *_parts(path)) for each in (_packed(one), one)]
    return [each for each in named if _is_there(each)]


def _lines_of(path: Path, parse: Callable[[Any], T]) -> list[T]:
    return [
        value for each in (_packed(path), path) if _is_there(each) for value in _parsed(each, parse)
    ]


def _parsed(path: Path, parse: Callable[[Any], T]) -> Iterator[T]:
    return parsed_lines(
        path, whole_lines(path), lambda line: parse(decode(unsealed(line)[0], dict))
    )


def parsed_lines(path: Path, lines: Iterable[bytes], parse: Callable[[bytes], T]) -> Iterator[T]:
    """Each of the lines of a file, parsed, in order.

    `parse` raises a `ValueError`, `KeyError` or `TypeError` for a wrong line; it becomes a
    `StoreError` with file and line. A line of a newer schema is a `StoreError` too.
    """
    for number, line in enumerate(lines, start=1):
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
    if not (line.endswith(_CLOSING) and line.startswith(_OPENING, -_SEAL)):
        return line, False
    body = line[:-_SEAL] + b"}"
    if not line.startswith(_check_of(body), -_DIGITS - len(_CLOSING)):
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
            with lzma.LZMAFile(file) as unpacked:
                yield from _without_ends(_limited(path, unpacked))
    except (lzma.LZMAError, EOFError) as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def _without_ends(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line[:-1] for line in lines if line.endswith(b"\n"))


def _limited(path: Path, file: lzma.LZMAFile) -> Iterator[bytes]:
    limit = unpacked_limit(path)
    while line := file.readline(limit + 1):
        limit -= len(line)
        if limit < 0:
            raise damaged(path, TOO_LARGE)
        yield line


def unpacked_limit(path: Path) -> int:
    """The most bytes that a compressed journal may have unpacked."""
    return max(SMALL, LARGEST_RATIO * path.stat().st_size)


def damaged(path: Path, why: str) -> StoreError:
    """The error that says that a compressed journal is damaged."""
    return StoreError(
        f"{path} is damaged: {why}. Put a whole copy back, or remove it, and what it held is"
        " computed again."
    )


def part_of(path: Path, index: int, count: int) -> Path:
    """The file of the process that writes part `index` of `count`; `path` itself for the whole.

    >>> part_of(Path("journal.jsonl"), 2, 3).name
    'journal-2-of-3.jsonl'
    """
    return path if count == 1 else path.with_name(f"{path.stem}-{index}-of-{count}{path.suffix}")


def _parts(path: Path) -> list[Path]:
    pattern = re.compile(rf"({re.escape(path.stem)}-\d+-of-\d+{re.escape(path.suffix)})(\.xz)?")
    found = map(pattern.fullmatch, (one.name for one in path.parent.glob(f"{path.stem}-*-of-*")))
    return [path.with_name(name) for name in sorted({one[1] for one in found if one})]


def _is_there(path: Path) -> bool:
    """Whether anything has that name, even a link to nothing."""
    return os.path.lexists(path)


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.xz")


class Journal(Generic[T]):
    """A file of lines that one process writes, or one of several for as many processes. Use it in a
    `with` statement, which locks its part of the folder and reads the existing lines of all.
    """

    def __init__(
        self, path: Path, parse: Callable[[Any], T], part: tuple[int, int] = (1, 1)
    ) -> None:
        """Name the file, and the `part` that this process writes: its number and the number of
        parts. The folder is made on entering the `with` statement.
        """
        self._whole, self._parse, self._part = path, parse, part
        self.path = part_of(path, *part)
        """The file that is written."""
        self.lines: list[T] = []
        """The parsed lines: those of all files, then those that were added."""
        self.own: list[T] = []
        """The parsed lines of the file that is written."""
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(part_locked(self.path.parent, *self._part))
            self.refresh()
            if _is_there(self.path):
                # Without its torn last line, or the next line would be appended to that one.
                os.truncate(self.path, sum(len(line) + 1 for line in whole_lines(self.path)))
            self._open = stack.pop_all()
        return self

    def refresh(self) -> None:
        """Read the lines of all files, also those that other processes have written meanwhile."""
        self.lines = read_lines(self._whole, self._parse)
        self.own = _lines_of(self.path, self._parse)

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
        parsed = [self._parse(decode(unsealed(line[:-1])[0], dict)) for line in lines]
        self.lines += parsed
        self.own += parsed
