"""Reads whole files, as bytes or JSON; a failure is one line that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hnbench.files.decoding import MalformedError, decode

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

LARGEST = 1_000_000_000
"""The largest size in bytes of a file that is read whole."""


def content_of(path: Path) -> bytes:
    """The bytes of a file. Anything that is not a file (a folder, a device, a link to nothing) or
    cannot be read is a `MalformedError`.
    """
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(error) from error


def require_file(path: Path) -> None:
    """Raise a `MalformedError` unless `path` is a file of a usable size. Call it before opening a
    file: opening a pipe could wait for ever.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(error) from error
    if path.is_dir():
        raise MalformedError("it is a folder")
    if not path.is_file():
        raise MalformedError("it is a device or a pipe")
    if size > LARGEST:
        raise MalformedError(f"it has {size:,} bytes, and at most {LARGEST:,} are read")


def _unreadable(error: OSError) -> MalformedError:
    return MalformedError(error.strerror or type(error).__name__)


def json_of(path: Path, kind: type[T]) -> T:
    """The value in a JSON file, as `kind` (see `hnbench.files.decoding.decode`). Every failure is a
    `MalformedError`.
    """
    return decode(content_of(path), kind)
