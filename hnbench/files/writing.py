"""Writes files whole or not at all. A failure is one line with place, cause and what helps."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from hnbench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BINARY: int = getattr(os, "O_BINARY", 0)
"""A flag for `os.open`: without it, Windows would change the ends of lines."""
_ROOM = "make room"
_ACCESS = "get the right to write there, or give another place"
_PLACE = "give another place"
_FILE_THERE = "a file is where a folder has to be: give another place, or move that file"
_HANDLES = "raise `ulimit -n`, or close other programs"

ADVICE = {
    errno.ENOSPC: _ROOM,
    getattr(errno, "EDQUOT", errno.ENOSPC): _ROOM,
    errno.EFBIG: (
        "raise the limit on the size of files (`ulimit -f`), or give a place on another file system"
    ),
    errno.EROFS: "it is on a read-only file system: give another place",
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EEXIST: _FILE_THERE,
    errno.ENOTDIR: _FILE_THERE,
    errno.EISDIR: "a folder is where a file has to be: give another place, or move that folder",
    errno.ENOTEMPTY: "something else is in that folder: give another place, or move it",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "it is a link to itself: give another place",
    errno.EMFILE: _HANDLES,
    errno.ENFILE: _HANDLES,
    errno.EBUSY: "another program holds it: close that one, or give another place",
    errno.ETXTBSY: "another program holds it: close that one, or give another place",
    errno.EIO: "look at the disk, or give another place",
    errno.ENODEV: "look at the disk, or give another place",
    getattr(errno, "ESTALE", errno.EIO): "look at the network's disk, or give another place",
}
"""Cause (`errno`) -> what helps."""


@contextmanager
def writing(place: Path, kept: str = "") -> Iterator[None]:
    """Turn a failure to write in the block into a `StoreError` about `place`.

    `kept` is the end of its message: what is not lost, and how to continue.
    """
    try:
        yield
    except SafetensorError as error:
        if (cause := _of_safetensors(error)) is None:
            raise
        raise StoreError(cannot_write(place, cause, kept)) from error
    except OSError as error:
        raise StoreError(cannot_write(place, error, kept)) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, and make the folders above it. A failure is a `StoreError`."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def cannot_write(place: Path, error: OSError, kept: str = "") -> str:
    """The message of a failure to write: place, cause, advice and `kept`."""
    advice = ADVICE.get(error.errno or 0, _PLACE)
    where = f" at {name}" if (name := error.filename) and str(name) != str(place) else ""
    return (
        f"{place} cannot be written to ({error.strerror or error}{where});"
        f" {advice}{f'. {kept}' if kept else ''}"
    )


def _of_safetensors(error: SafetensorError) -> OSError | None:
    """The system's error behind it, whose number is in its text; None if there is none."""
    found = re.search(r"code: (\d+)|os error (\d+)", str(error))
    if not found:
        return None
    number = int(found[1] or found[2])
    return OSError(number, os.strerror(number))


def write_whole(path: Path, content: bytes, ending: str = ".tmp") -> None:
    """Write a file so that it is whole or unchanged, whenever the process is killed. Until it is
    whole, its name has `ending`.
    """
    temporary = path.with_name(path.name + ending)
    # A killed process may have left it; a link or a pipe of that name must not be written into.
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)  # noqa: PTH105 - atomic, also if `path` exists


def replace_folder(working: Path, folder: Path) -> None:
    """Put a folder of files in the place of `folder`, whole on the disk: after a power cut too, the
    name means whole files.

    The files get the mode of new files, because safetensors lets only their owner read them.
    """
    mode = _mode_of_new_files(working)
    for path in working.iterdir():
        path.chmod(mode)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    working.replace(folder)


def _mode_of_new_files(folder: Path) -> int:
    # `os.umask` can only be read by changing it, for all threads.
    probe = folder / ".mode"
    probe.touch()
    try:
        return stat.S_IMODE(probe.stat().st_mode)
    finally:
        probe.unlink()


def append_whole(descriptor: int, content: bytes) -> None:
    """Append to an open file, and wait until the content is on the disk. If that fails, the file is
    cut back to its old size, and the `OSError` is raised.
    """
    start = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, start)
        raise


def _write_all(descriptor: int, content: bytes) -> None:
    """Write the whole content: one call of `os.write` may write only a part."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
