"""Packs the journals of a run folder, and unpacks them. Each journal has one packed file, with the
same number and the same lines (`hnbench.runs.packed`).

The packed file is written whole, read again and compared before its journal is removed. If the
process is killed in between, the folder has the same records twice, which counts them once, and the
same command completes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.errors import StoreError
from hnbench.files.journal import parsed_lines
from hnbench.files.sharing import part_locked
from hnbench.files.writing import write_whole, writing
from hnbench.runs.journals import (
    PACKED,
    PLAIN,
    journal_name,
    journals_of,
    lines_of,
    number_of,
    read_line,
)
from hnbench.runs.packed import packed
from hnbench.runs.store import manifest_of

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class PackedRun:
    """A run whose journals were packed or unpacked."""

    folder: Path
    records: int
    """The number of lines in all of its journals."""
    before: int
    """The size of its journals in bytes, before."""
    after: int
    """Their size after."""


def pack(folder: Path, *, undo: bool = False) -> PackedRun:
    """Pack the journals of a run folder; with `undo`, make plain ones of the packed ones again.

    `StoreError` if it is not a run folder, if a process works in it, if a journal is damaged, if
    there is another journal in the place of a new one, or if nothing can be written.
    """
    manifest = manifest_of(folder)
    with part_locked(folder, 1, 1), writing(folder, "The same command continues."):
        before = _sizes(folder)
        for path in journals_of(folder):
            if path.name.endswith(PACKED) != undo:
                continue
            lines = list(parsed_lines(path, lines_of(path), _checked))
            target = folder / journal_name(number_of(path), PLAIN if undo else PACKED)
            if not target.exists():
                plain = b"".join(line + b"\n" for line in lines)
                write_whole(target, plain if undo else packed(lines, manifest))
            if list(lines_of(target)) != lines:
                raise StoreError(
                    f"{target} has other lines than {path}; give one of them a number that no"
                    " journal has."
                )
            path.unlink()
        records = sum(1 for path in journals_of(folder) for _ in lines_of(path))
        return PackedRun(folder, records, before, _sizes(folder))


def _checked(line: bytes) -> bytes:
    """The line, if it is a record; else `read_line` raises an error."""
    read_line(line)
    return line


def _sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in journals_of(folder))
