"""One process at a time in a folder."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from hnbench.errors import StoreError
from hnbench.files.writing import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"
"""The file that a process locks while it works in a folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for the length of the block; it is created if it does not exist.

    A folder that another process has locked, or that cannot be written to, is a `StoreError` at
    once.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()  # the system frees it when the process ends, however that happens
        except Timeout:
            raise in_use(folder) from None
    try:
        yield
    finally:
        lock.release()


def in_use(folder: Path) -> StoreError:
    """The error for a folder that another process has locked."""
    return StoreError(
        f"{folder} is in use by another process; wait for it to end, or give another folder."
    )
