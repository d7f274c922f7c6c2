"""What may lie in a folder of scores in the place of its journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hnbench.errors import StoreError
from hnbench.files.journal import sealed
from hnbench.images.inventory import FoundImage
from hnbench.images.verdict_journal import VerdictJournal, _line
from hnbench.suites.base import Prompt, Verdict
from tests.mutations import mutated_json, only_one_line, replaced

IMAGE = FoundImage(Path("images"), "0/0.png", Prompt("a", "a cat", "animals"), 0, sha256="e" * 64)
VERDICTS = [
    Verdict(correct=False, reason="no cat", details={"found": ["dog"]}),
    Verdict(correct=None, score=0.5),
]
LINES = [_line(f"{number}" * 64, IMAGE, verdict) for number, verdict in enumerate(VERDICTS)]


def use(folder: Path) -> None:
    """What a score does with a journal: it takes the verdicts, and writes their values and details
    down.
    """
    with VerdictJournal(folder) as journal:
        for key, verdict in journal.verdicts.items():
            assert len(key) == 64
            assert isinstance(verdict.value, float)
            json.dumps([verdict.reason, dict(verdict.details)], allow_nan=False).encode()
            verdict.reason.encode()


def test_verdicts_come_back(tmp_path: Path) -> None:
    with VerdictJournal(tmp_path) as journal:
        journal.add((f"{number}" * 64, IMAGE, verdict) for number, verdict in enumerate(VERDICTS))
    with VerdictJournal(tmp_path) as journal:
        assert list(journal.verdicts.values()) == VERDICTS


@pytest.mark.parametrize("line", LINES, ids=["right or wrong", "graded"])
def test_any_value_in_a_line_is_read_or_is_one_line(
    tmp_path: Path, line: dict[str, object]
) -> None:
    with only_one_line() as outcomes:
        for what, text in mutated_json(line):
            (tmp_path / "journal.jsonl").write_bytes(text + b"\n")
            outcomes.of(what, lambda: use(tmp_path))
    assert outcomes.refused > outcomes.read > 0


def test_anything_in_the_place_of_a_journal_is_read_or_is_one_line(tmp_path: Path) -> None:
    with only_one_line() as outcomes:
        for what, place in replaced(b"".join(sealed(line) for line in LINES)):
            place(tmp_path / "journal.jsonl")
            outcomes.of(what, lambda: use(tmp_path))
    assert outcomes.refused > 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": "short"}, "regex"),
        ({"verdict": {"correct": 1}}, "Expected `bool | null`, got `int`"),
        ({"verdict": {"correct": True, "details": 0}}, "Expected `object`, got `int`"),
        ({"verdict": {"correct": None}}, "a verdict says right or wrong, or gives a score"),
    ],
)
def test_damage_is_told_by_its_line(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    (tmp_path / "journal.jsonl").write_text(
        f"{json.dumps(LINES[0])}\n{json.dumps({**LINES[1], **change})}\n"
    )
    with pytest.raises(StoreError) as caught:
        use(tmp_path)
    assert "journal.jsonl:2 is damaged" in str(caught.value)
    assert reason in str(caught.value)


def test_a_newer_line_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(f"{json.dumps({**LINES[0], 'schema': 2})}\n")
    with pytest.raises(StoreError, match=r":1 cannot be used: .* newer hnbench \(schema 2, "):
        use(tmp_path)
