"""The folder of a report: written in a working folder inside it first, then moved into place.

A kill leaves every file whole, of the earlier report or of the new one. Files of others are kept.
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
"""In the folder itself, so that it is on the same disk. What a killed report left there goes with
the next one.
"""
LOCK = ".hnbench-report.lock"
PATIENCE = 600.0
"""Seconds to wait for another report into the same folder."""
_BEGINNINGS = {
    "summary.csv": b"label,metric,",
    "records.csv": b"label,prompt_id,",
    "headline.json": b'[\n {\n  "key": ',
}
"""What tells a report's folder: any of these files, with its beginning in every version."""


@contextmanager
def replacing(out: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder; at the end of the block, its files take their places in `out`, in the
    order of `names`.

    A file of these names that was not written is removed from `out`. Where `out` has such files of
    someone else, nothing is written: a `UsageError`. Two reports wait for each other;
    `StoreError` when one waits for too long. Raises `OSError`.
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
    """Refuse a folder in which someone else's files have these names. Empty files hold nothing that
    could be lost.
    """
    there = [out / name for name in names if (out / name).exists()]
    for path in there:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # One file that only a report writes makes all of these names a report's.
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
    """Put every file into its place; all of them are on the disk before the first is moved."""
    made = [name for name in names if (working / name).exists()]
    for name in made:
        with (working / name).open("rb") as file:
            os.fsync(file.fileno())
    for name in made:
        (working / name).replace(out / name)
    # Last, so that a kill leaves too much of the earlier report, not too little of this one.
    for name in set(names) - set(made):
        (out / name).unlink(missing_ok=True)
