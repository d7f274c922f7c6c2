"""The union of a folder's journals does not depend on their order."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hnbench.errors import StoreError
from hnbench.files.journal import sealed
from hnbench.runs.journals import JournalReader, Union, journals_of, place_of, preferred
from hnbench.runs.record import Failure, Record
from tests.journals import write_journal
from tests.runs.test_record import FAILED
from tests.runs.test_store import numbered


def done(number: int, written: float | None, seconds: float = 1.0) -> Record:
    record = numbered(number)
    return replace(record, written=written, cost=replace(record.cost, seconds=seconds))


def failed(number: int, written: float | None, why: str = "x") -> Record:
    return replace(
        FAILED, id=numbered(number).id, written=written, error=Failure(type="E", message=why)
    )


def union_of(folder: Path, journals: list[list[Record]]) -> dict[str, Record]:
    for path in folder.glob("journal-*"):
        path.unlink()
    for number, records in enumerate(journals):
        write_journal(
            folder / f"journal-{number:04d}.jsonl", [record.to_json() for record in records]
        )
    return dict(Union(journals_of(folder)).records)


def test_a_done_record_beats_a_failed_one_whenever_it_was_written(tmp_path: Path) -> None:
    for one in itertools.permutations([[done(1, 5.0)], [failed(1, 9.0)], [failed(1, 1.0)]]):
        assert union_of(tmp_path, list(one))[numbered(1).id] == done(1, 5.0)


def test_of_two_with_one_status_the_later_counts(tmp_path: Path) -> None:
    later = [[done(1, 7.0)], [done(1, 8.0)], [done(1, None)]]
    for one in itertools.permutations(later):
        assert union_of(tmp_path, list(one))[numbered(1).id].written == 8.0
    for two in itertools.permutations([[failed(1, 2.0, "new")], [failed(1, 1.0, "old")]]):
        found = union_of(tmp_path, list(two))[numbered(1).id].error
        assert found is not None
        assert found.message == "new"


def test_without_a_time_the_later_journal_and_line_counts(tmp_path: Path) -> None:
    found = union_of(tmp_path, [[done(1, None, 1.0), done(1, None, 2.0)], [done(2, None, 3.0)]])
    assert [record.cost.seconds for record in found.values()] == [2.0, 3.0]
    found = union_of(tmp_path, [[done(1, None, 1.0)], [done(1, None, 2.0)]])
    assert found[numbered(1).id].cost.seconds == 2.0


def test_the_order_of_the_journals_changes_nothing(tmp_path: Path) -> None:
    """Many records with few ids, statuses and times, so that there are ties of every kind."""
    dice = random.Random(1)
    records = [
        done(dice.randint(1, 4), dice.choice((1.0, 2.0)), dice.choice((1.0, 2.0, 3.0)))
        if dice.random() < 0.5
        else failed(dice.randint(1, 4), dice.choice((1.0, 2.0, 3.0)), dice.choice("ab"))
        for _ in range(40)
    ]
    expected = union_of(tmp_path, [records])
    assert {record.status for record in expected.values()} == {"done"}
    for _ in range(30):
        dice.shuffle(records)
        cuts = sorted(dice.sample(range(len(records)), 4))
        parts = [records[a:b] for a, b in itertools.pairwise([0, *cuts, len(records)])]
        assert union_of(tmp_path, parts) == expected


def test_the_union_of_unions_is_the_union() -> None:
    """What counts of two, and then of a third, is what counts of all: in any grouping."""
    several = [done(1, 1.0), done(1, 2.0, 1.0), done(1, 2.0, 2.0), failed(1, 3.0), failed(1, 4.0)]
    for a, b, c in itertools.permutations(several, 3):
        assert preferred(preferred(a, b), c) == preferred(a, preferred(b, c))
        assert preferred(a, b) == preferred(b, a)


@pytest.mark.parametrize("turned", [False, True])
def test_the_place_is_that_of_the_record_that_counts(tmp_path: Path, turned: bool) -> None:
    journals = [[done(2, 1.0), failed(1, 9.0)], [done(3, 1.0), done(2, 0.5), done(1, 5.0)]]
    union_of(tmp_path, journals[::-1] if turned else journals)
    number = 0 if turned else 1
    assert place_of(tmp_path, numbered(1).id) == f"{tmp_path}/journal-000{number}.jsonl:3"
    assert place_of(tmp_path, numbered(2).id) == f"{tmp_path}/journal-000{1 - number}.jsonl:1"
    assert place_of(tmp_path, numbered(9).id) == str(tmp_path)


def test_a_reader_reads_again_only_what_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    union_of(tmp_path, [[done(1, 1.0)], [done(2, 1.0)]])
    opened: list[str] = []
    whole = Path.open

    def noted(path: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(path.name)
        return whole(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", noted)
    reader = JournalReader(tmp_path)
    assert reader.union() is reader.union()
    assert opened == ["journal-0000.jsonl", "journal-0001.jsonl"]

    with (tmp_path / "journal-0001.jsonl").open("ab") as file:
        file.write(sealed(done(3, 1.0).to_json()))
    assert list(reader.union().records) == [numbered(number).id for number in (1, 2, 3)]
    (tmp_path / "journal-0000.jsonl").unlink()
    assert list(reader.union().records) == [numbered(number).id for number in (2, 3)]
    write_journal(tmp_path / "journal-0002.jsonl", [done(4, 1.0).to_json()])
    assert list(reader.union().records) == [numbered(number).id for number in (2, 3, 4)]


def test_a_journal_of_the_same_size_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    union_of(tmp_path, [[done(1, 1.0)]])
    reader = JournalReader(tmp_path)
    assert list(reader.union().records) == [numbered(1).id]
    other = tmp_path / "other"
    write_journal(other, [done(2, 1.0).to_json()])
    path = tmp_path / "journal-0000.jsonl"
    before = path.stat()
    assert other.stat().st_size == before.st_size
    other.replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert list(reader.union().records) == [numbered(2).id]


def test_a_link_to_nothing_is_refused_by_a_reader(tmp_path: Path) -> None:
    (tmp_path / "journal-0000.jsonl").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"journal-0000\.jsonl is not a file; put the journal"):
        JournalReader(tmp_path).union()


def test_records_of_a_sample_share_what_they_have_in_common(tmp_path: Path) -> None:
    one, other = done(1, 1.0), replace(done(2, 1.0), label="reno")
    changed = replace(done(3, 1.0), tag="x", initial_rewards={**one.initial_rewards, "y": 1.0})
    found = union_of(tmp_path, [[one, other, changed]])
    assert list(found.values()) == [one, other, changed]
    first, second, third = found.values()
    assert second.prompt is first.prompt
    assert second.initial_rewards is first.initial_rewards
    assert third.noise_sha256 is first.noise_sha256
    assert second.verdict is first.verdict
    assert second.cost.generator_forward is first.cost.generator_forward
    assert second.cost.seconds == other.cost.seconds
