"""What is wrong with a folder after a kill, counted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hnbench.errors import HnbenchError
from hnbench.runs.store import read_run
from hnbench.seeds import digest
from tests.runs.world import is_close

TO_THE_BYTE = True
"""Whether a continued run is held to equality to the byte but for time and memory; else rewards may
differ by rounding, and images.
"""

_MEASURED = ("seconds",)


@dataclass
class Findings:
    """Kills, and the faults that followed them."""

    kills: int = 0
    after_a_record: int = 0
    """Kills of processes that had told of a record of their own."""
    rounds: int = 0
    """Works that were begun anew, killed on their way and brought to their end."""
    lost: int = 0
    """Records whose write had returned, and that are not there."""
    doubled: int = 0
    unreadable: int = 0
    """Folders that a reader refuses."""
    images: int = 0
    """Images that are not those of their records."""
    differing: int = 0
    """Works whose result is not that of an uninterrupted one."""
    left_over: int = 0
    """Files of no use that are still there at the end."""

    @property
    def faults(self) -> dict[str, int]:
        """The counts that should be zero and are not."""
        return {
            name: count
            for name, count in asdict(self).items()
            if name not in ("kills", "after_a_record", "rounds") and count
        }

    def __str__(self) -> str:
        return ", ".join(
            f"{count} {name.replace('_', ' ')}" for name, count in asdict(self).items()
        )

    def look_at_run(self, folder: Path, told: Iterable[str]) -> None:
        """Note what is wrong with a run of which `told` are the ids of the records that were
        written.
        """
        if not (folder / "run.json").exists():
            self.lost += len(set(told))
            return
        try:
            found = {record.id: record for record in read_run(folder).records}
        except HnbenchError:
            self.unreadable += 1
            return
        self.lost += len(set(told) - found.keys())
        self.doubled += repeats(line["id"] for line in lines_of(*folder.glob("journal-*.jsonl")))
        for record in found.values():
            path = folder / record.image.path if record.image else None
            if (
                path is None
                or not path.is_file()
                or record.image is None
                or sha256(path) != record.image.sha256
            ):
                self.images += 1

    def compare_runs(self, folder: Path, whole: Path, *, to_the_byte: bool) -> None:
        """Note what of a run that is at its end is not as in one that was never interrupted, and
        what it has beside.
        """
        one, other = (timeless(folder) for folder in (folder, whole))
        if to_the_byte:
            equal = one == other and images(folder) == images(whole)
        else:
            equal = one.keys() == other.keys() and all(
                is_close(rough(one[key]), rough(other[key])) for key in one
            )
        self.differing += not equal
        self.left_over += len(
            {path.relative_to(folder) for path in (folder / "images").rglob("*") if path.is_file()}
            ^ set(images(whole))
        )

    def compare_trees(self, folder: Path, whole: Path) -> None:
        """Note whether two folders have the same files, to the byte."""
        one, other = tree(folder), tree(whole)
        self.differing += any(
            one[name] != other[name] for name in one.keys() & other.keys()
        ) or bool(other.keys() - one.keys())
        self.left_over += len(one.keys() - other.keys())


def lines_of(*paths: Path) -> list[dict[str, Any]]:
    """The whole lines of journals, without their check values."""
    found = []
    for path in sorted(paths):
        for line in path.read_bytes().split(b"\n")[:-1]:
            value = json.loads(line)
            value.pop("check", None)
            found.append(value)
    return found


def keys_of(path: Path) -> list[str]:
    """By what `tests.storm.work` tells of a journal's lines."""
    return [digest(line) for line in lines_of(path)] if path.exists() else []


def repeats(keys: Iterable[str]) -> int:
    """How many of the keys were there before."""
    return sum(count - 1 for count in Counter(keys).values())


def timeless(folder: Path) -> dict[str, dict[str, Any]]:
    """Id -> the record's line, without what no two runs have in common."""
    records = {line["id"]: line for line in lines_of(*folder.glob("journal-*.jsonl"))}
    return {
        key: {**_without(line, "written"), "cost": _without(line["cost"], *_MEASURED)}
        for key, line in records.items()
    }


def rough(line: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what depends on how its batch was laid."""
    return {**_without(line, "image"), "cost": _without(line["cost"], "batch_size")}


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def images(folder: Path) -> dict[Path, str]:
    """The images of a run by their paths in it."""
    return {path.relative_to(folder): sha256(path) for path in (folder / "images").rglob("*.png")}


def tree(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file by its path in the folder. Locks are none of its content."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".lock")
    }


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
