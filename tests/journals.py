"""Journals as tests change them: read without check values, written with them, or cut short by a
full disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hnbench.files.journal import sealed, unsealed


def journal_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(unsealed(line)[0]) for line in path.read_bytes().splitlines()]


def write_journal(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(sealed(row) for row in rows))


def change_journal(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Every line changed, as somebody would who knows how check values are made."""
    write_journal(path, [change(row) for row in journal_rows(path)])


class FullDisk:
    """`os.write` on a disk with so many bytes left: it writes what fits, then fails."""

    def __init__(self, room: int, number: int) -> None:
        self.room, self.number, self.real = room, number, os.write

    def __call__(self, descriptor: int, content: bytes) -> int:
        if self.room == 0:
            raise OSError(self.number, os.strerror(self.number))
        written = self.real(descriptor, bytes(content[: self.room]))
        self.room -= written
        return written
