"""The folder of a report. Files are written into a working folder inside it first, then moved into
place.

If the process is killed, every file is whole, either of the earlier report or of the new one. Files
of others are kept.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from hnbench.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WORKING = ".hnbench-report"
"""The working folder. It lies in the report's folder, so that it is on the same disk and files can
be moved. The next report removes the leftovers of a killed one.
"""
LOCK = ".hnbench-report.lock"
TEXT = "report.md"
"""The report's text."""
PAGE = "index.html"
"""The report's page."""
PATIENCE = 600.0
"""Seconds to wait for another process that writes a report into the same folder."""
_BEGINNINGS = {
    "summary.csv": b"label,metric,",
    "records.csv": b"label,prompt_id,",
    "headline.json": b'[\n {\n  "key": ',
    "comparison.csv": b"row,reference,",
}
"""A folder is a report's if one of these files begins like this, as it does in every version."""


@contextmanager
def replacing(out: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder. At the end of the block, its files are moved to `out`, in the order of
    `names`.

    If the block did not write one of `names`, an earlier file of that name is removed from `out`.
    If `out` has files of these names that something else wrote, nothing is written: `UsageError`.
    Two reports wait for each other; `StoreError` if that takes longer than `PATIENCE`. `OSError` if
    the disk fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    _require_own(out, names)
    with _locked(out):
        working = out / WORKING
        if working.exists():
            shutil.rmtree(working)
        working.mkdir()
        try:
            yield working
            _move(working, out, names)
        finally:
            shutil.rmtree(working, ignore_errors=True)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = FileLock(out / LOCK, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"another report is being written into {out}; wait for it to end, or choose"
            " another folder as `out`"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _require_own(out: Path, names: Sequence[str]) -> None:
    """Refuse a folder with files of these names that something else wrote. Empty files are
    accepted: nothing in them could be lost.
    """
    there = [out / name for name in names if (out / name).exists()]
    for path in there:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # If one of them is certainly a report's, so are the others, which cannot be recognised.
    if not any(_begins(out / name, beginning) for name, beginning in _BEGINNINGS.items()):
        for path in there:
            if not path.is_file() or path.stat().st_size:
                raise UsageError(
                    f"{path} was not written by `hnbench report`; move it, or choose another"
                    " folder as `out`"
                )


def _begins(path: Path, beginning: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _move(working: Path, out: Path, names: Sequence[str]) -> None:
    """Move every file into its place, once all of them are safely on the disk."""
    made = [name for name in names if (working / name).exists()]
    for name in made:
        with (working / name).open("rb") as file:
            os.fsync(file.fileno())
    for name in made:
        (working / name).replace(out / name)
    # Removed last: if the process is killed before, a file too many stays, and none is missing.
    for name in set(names) - set(made):
        (out / name).unlink(missing_ok=True)
