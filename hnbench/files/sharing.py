"""Several processes at a time in a folder, each with its own part of the work.

The work is numbered, and part `index` of `count` has every piece whose number leaves the remainder
`index - 1` when it is divided by `count`. Part 1 of 1 is the whole. Two parts that have a piece in
common exclude each other; all others work at the same time.
"""

from __future__ import annotations

import math
import re
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from hnbench.errors import StoreError
from hnbench.files.locking import LOCK, in_use
from hnbench.files.writing import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GATE = ".lock-gate"
"""The file that a process locks for a moment, while it reads and writes what all of them share."""
PATIENCE = 120.0
"""Seconds to wait for the gate. Nobody needs it for more than a fraction of one."""
_PART = re.compile(r"\.lock-([1-9]\d{0,8})-of-([1-9]\d{0,8})")


@contextmanager
def gate(folder: Path) -> Iterator[None]:
    """Exclude all other processes from the shared files of a folder for the length of the block.
    `StoreError` if another one does not let go, or the folder cannot be written to.
    """
    lock = FileLock(folder / GATE, timeout=PATIENCE)
    with writing(folder):
        try:
            lock.acquire()
        except Timeout:
            raise StoreError(
                f"{folder / GATE} is held by another process that does not let go of it; end that"
                " process, or give another folder."
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def part_locked(folder: Path, index: int, count: int) -> Iterator[Path]:
    """Lock part `index` of `count` of a folder for the length of the block. The folder is created
    if it does not exist. Gives the path of the locked file.

    A part that another process works on, whole or in pieces, is a `StoreError` at once; so is a
    folder that cannot be written to.
    """
    path = folder / _name(index, count)
    lock = FileLock(path, timeout=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # Behind the gate, so that two overlapping parts cannot begin at the same time.
    with gate(folder), writing(folder):
        for other in folder.glob(".lock*"):
            if other != path and _overlap((index, count), _part_of(other)):
                _require_free(folder, other)
        try:
            lock.acquire()
        except Timeout:
            raise in_use(folder) from None
    try:
        yield path
    finally:
        _release(folder, lock, path)


def _name(index: int, count: int) -> str:
    # The whole folder has the same lock as everything that only one process can use.
    return LOCK if count == 1 else f"{LOCK}-{index}-of-{count}"


def _part_of(path: Path) -> tuple[int, int] | None:
    if path.name == LOCK:
        return 1, 1
    found = _PART.fullmatch(path.name)
    return (int(found[1]), int(found[2])) if found else None


def _overlap(one: tuple[int, int], other: tuple[int, int] | None) -> bool:
    """Whether two parts have a piece in common: numbers `index - 1` modulo `count` that are equal
    modulo the greatest common divisor of both counts (Chinese remainder theorem).
    """
    if other is None:
        return False
    return (one[0] - other[0]) % math.gcd(one[1], other[1]) == 0


def _require_free(folder: Path, path: Path) -> None:
    """Refuse a lock that another process holds; remove one that a killed process left."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise in_use(folder) from None
    _remove(path)
    lock.release()


def _release(folder: Path, lock: FileLock, path: Path) -> None:
    with ExitStack() as stack:
        if path.name != LOCK:
            # Behind the gate, so that nobody opens the file just before it is removed. If the
            # folder was taken away or is read-only by now, the file stays or is gone already.
            with suppress(StoreError):
                stack.enter_context(gate(folder))
                _remove(path)
        lock.release()


def _remove(path: Path) -> None:
    if path.name != LOCK:
        with suppress(OSError):
            path.unlink()
