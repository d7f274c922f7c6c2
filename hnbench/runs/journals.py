"""The journals of a run folder, read as one set of records.

Several sessions write at the same time, each into its own journal, and journals of other machines
are added later. So the record that counts for an id does not depend on the order of the journals: a
done record beats a failed one, and of two with the same status the one that was written later
counts. Records of an older hnbench do not say when they were written. They count as older, and
among each other the order of the journals and lines decides.
"""

from __future__ import annotations

import os
import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import force_setattr

from hnbench.errors import StoreError
from hnbench.files.collection import without_collection
from hnbench.files.decoding import MalformedError
from hnbench.files.journal import parsed_lines, unsealed, whole_lines
from hnbench.guards.out_of_memory import require_memory
from hnbench.runs.record import Record, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hnbench.suites.base import Verdict

    _Stamp = tuple[str, tuple[int, ...] | None]

PLAIN = ".jsonl"
"""How the name of a journal ends that is being written."""
PACKED = ".columns.xz"
"""How the name of a packed journal ends (`hnbench.runs.packed`)."""
_RECORDS_A_CHECK = 256
"""Records that are read from one check that memory is left to the next."""
_JOURNAL = re.compile(rf"journal-(\d{{1,9}})(\.jsonl(\.xz)?|{re.escape(PACKED)})")
_SHARED = tuple(
    (name, attrgetter(name))
    for name in ("prompt_id", "prompt", "tag", "noise_sha256", "initial_rewards")
)
"""The fields that the records of one sample have in common, and what reads them."""
_AMOUNTS = tuple(
    (name, attrgetter(name))
    for name in (
        *("generator_forward", "generator_backward", "reward_forward", "reward_backward"),
        *("flops", "device"),
    )
)
"""The fields of a cost that most records of one label have in common."""


def journals_of(folder: Path) -> list[Path]:
    """The journals, by number. Files with other names, such as a file manager's copy of one, are
    ignored.
    """
    return sorted(
        (path for path in folder.glob("journal-*") if _JOURNAL.fullmatch(path.name)),
        key=lambda path: (number_of(path), path.name),
    )


def number_of(path: Path) -> int:
    """The number in a journal's name; -1 if the file is not a journal."""
    found = _JOURNAL.fullmatch(path.name)
    return int(found[1]) if found else -1


def journal_name(number: int, ending: str = PLAIN) -> str:
    """The name of the journal with that number. The ending is that of its kind."""
    return f"journal-{number:04d}{ending}"


def next_number(folder: Path) -> int:
    """The number after that of the last journal."""
    return max(map(number_of, journals_of(folder)), default=-1) + 1


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a journal, plain, compressed or packed, without their ends. `StoreError` if it
    is damaged.
    """
    if not path.name.endswith(PACKED):
        return whole_lines(path)
    from hnbench.runs.packed import packed_lines

    return packed_lines(path)


class Union:
    """The record that counts for every id in some journals, in the order in which the ids first
    appeared, and the number of lines without a check value.
    """

    def __init__(self, journals: Iterable[Path]) -> None:
        """Read all journals. `StoreError` if one is damaged."""
        self.records: dict[str, Record] = {}
        self.unchecked = 0
        self._samples: dict[str, Record] = {}
        self._labels: dict[str, str] = {}
        self._verdicts: dict[tuple[bool | None, str, float | None], Verdict] = {}
        self._amounts: dict[str, dict[Any, Any]] = {name: {} for name, _ in _AMOUNTS}
        with without_collection():
            for path in journals:
                lines = parsed_lines(path, lines_of(path), read_line)
                for number, (record, checked) in enumerate(lines):
                    # Once nothing is left, not even for a number, Python can crash or run in
                    # circles where it unwinds an error. So records end before that.
                    if number % _RECORDS_A_CHECK == 0:
                        require_memory()
                    self._keep(record)
                    self.unchecked += not checked

    def _keep(self, record: Record) -> None:
        # The records of one sample have most texts and the initial rewards in common. Keeping one
        # copy of each saves much of the memory, and `force_setattr` can change a frozen record.
        sample = self._samples.setdefault(record.noise_sha256, record)
        if sample is not record:
            for name, of in _SHARED:
                value = of(sample)
                if value == of(record):
                    force_setattr(record, name, value)
        label = self._labels.setdefault(record.label, record.label)
        force_setattr(record, "label", label)
        if (verdict := record.verdict) is not None and not verdict.details:
            key = verdict.correct, verdict.reason, verdict.score
            force_setattr(record, "verdict", self._verdicts.setdefault(key, verdict))
        # All records of a label cost the same, but for the time.
        cost, amounts = record.cost, self._amounts
        for name, of in _AMOUNTS:
            amount = of(cost)
            force_setattr(cost, name, amounts[name].setdefault(amount, amount))
        known = self.records.setdefault(record.id, record)
        if known is not record:
            self.records[record.id] = preferred(known, record)


class JournalReader:
    """Reads the journals of one run folder, and reads them again only if they have changed since:
    a command asks several times what is there, and the journals of a large run take seconds.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is read before it is asked for."""
        self.folder = folder
        self._read: tuple[list[_Stamp], Union] | None = None

    def union(self) -> Union:
        """The union of all journals that are there now. `StoreError` if one is damaged."""
        journals = journals_of(self.folder)
        # Taken before reading: what is appended meanwhile is noticed the next time.
        stamps = list(map(_stamp_of, journals))
        if self._read is None or self._read[0] != stamps:
            try:
                self._read = stamps, Union(journals)
            except StoreError:
                if all(map(os.path.lexists, journals)):
                    raise
                # Another process packed them meanwhile, and others stand in their place.
                return self.union()
        return self._read[1]


def _stamp_of(path: Path) -> _Stamp:
    """The file's name, device and inode, and its size and time, which change when it is written."""
    try:
        found = path.stat()
    except OSError:  # a link to nothing, which reading refuses
        return path.name, None
    return path.name, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def preferred(known: Record | None, record: Record) -> Record:
    """The one of two records of the same id that counts; `record` comes after `known`."""
    if known is None:
        return record
    one, other = _rank(known), _rank(record)
    if one == other and record.written is not None:
        # Written in the same millisecond by two processes: any rule is good that does not depend on
        # the order.
        return max(known, record, key=msgspec.json.encode)
    return record if other >= one else known


def _rank(record: Record) -> tuple[bool, float]:
    return record.status == "done", -1.0 if record.written is None else record.written


def read_line(line: bytes) -> tuple[Record, bool]:
    """The record of a line, and whether it had a check value. Only records of schema 1 may have
    none; any other one is a `MalformedError`, like a line that is not a record.
    """
    content, checked = unsealed(line)
    record = read_record(content)
    if not checked and record.schema > 1:
        raise MalformedError("its check value is missing")
    return record, checked


def place_of(folder: Path, record_id: str) -> str:
    """The journal and line of the record that counts for that id, for messages; the folder if no
    journal has one.
    """
    place, counts = str(folder), None
    for path in journals_of(folder):
        for number, line in enumerate(lines_of(path), start=1):
            if f'"id":"{record_id}"'.encode() in line:
                record, _ = read_line(line)
                if preferred(counts, record) is record:
                    place, counts = f"{path}:{number}", record
    return place
