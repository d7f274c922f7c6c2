"""A packed journal has the lines that were packed, byte for byte, or is refused."""

from __future__ import annotations

import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hnbench.errors import StoreError
from hnbench.files.journal import sealed, unsealed
from hnbench.runs.journals import Union, lines_of, read_line
from hnbench.runs.packed import packed
from tests.runs.test_old_runs import FOLDER as OLD
from tests.runs.test_record import FAILED, GRADED, UNJUDGED

REFERENCE = Path(__file__).parents[2] / "results" / "geneval-shapes" / "seed0"
NAMED = r"journal-0000\.columns\.xz"
EQUAL = Path(__file__).parents[2] / "results" / "equal-budget"


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    return found


def plain(folder: Path, name: str = "journal-0000.jsonl.xz", most: int = 10**9) -> list[bytes]:
    with lzma.open(folder / name) as file:
        return [line[:-1] for _, line in zip(range(most), file, strict=False)]


def write(path: Path, lines: list[bytes], folder: Path = REFERENCE) -> Path:
    path = path / "journal-0000.columns.xz"
    path.write_bytes(packed(lines, manifest_of(folder)))
    return path


def header_of(path: Path) -> dict[str, Any]:
    with lzma.open(path) as file:
        found: dict[str, Any] = json.loads(file.readline())
    return found


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Two samples of all labels, half of them with check values, as a run of today has them."""
    found = plain(REFERENCE, most=24)
    today = [sealed(dict(json.loads(line), schema=3, written=1.5))[:-1] for line in found[:12]]
    return today + found[12:]


def test_the_lines_of_a_reference_run_come_back_in_half_of_the_bytes(tmp_path: Path) -> None:
    lines = plain(REFERENCE, most=12 * 200)
    random.Random(0).shuffle(lines)
    path = write(tmp_path, lines)
    assert list(lines_of(path)) == lines
    assert header_of(path)["whole"] == {}
    assert path.stat().st_size < 58 * len(lines)
    assert len(lzma.compress(b"\n".join(lines))) > 110 * len(lines)


def test_so_do_those_of_all_methods(tmp_path: Path) -> None:
    for name in ("journal-0000.jsonl.xz", "journal-0001.jsonl.xz"):
        lines = plain(EQUAL, name)
        path = write(tmp_path, lines, EQUAL)
        assert list(lines_of(path)) == lines
        assert header_of(path)["whole"] == {}
        assert path.stat().st_size < 75 * len(lines)


def test_ids_are_computed_and_not_stored(tmp_path: Path, lines: list[bytes]) -> None:
    path = write(tmp_path, lines)
    first = lzma.decompress(path.read_bytes())
    for line in lines:
        record, _ = read_line(line)
        assert bytes.fromhex(record.id) not in first
        assert record.id.encode() not in first
        assert record.image is not None
        assert bytes.fromhex(record.image.sha256) in first


def test_check_values_and_their_lack_come_back(tmp_path: Path, lines: list[bytes]) -> None:
    path = write(tmp_path, lines)
    assert [unsealed(line)[1] for line in lines_of(path)] == [True] * 12 + [False] * 12
    assert Union([path]).unchecked == 12


def spaced(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()


def backwards(row: dict[str, Any]) -> bytes:
    return json.dumps(dict(reversed(row.items())), separators=(",", ":")).encode()


def unescaped(row: dict[str, Any]) -> bytes:
    row = {**row, "prompt": "ein rotes Haus für 蛇"}
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()


def changed(**values: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda row: json.dumps({**row, **values}, separators=(",", ":")).encode()


def with_total(total: float) -> Callable[[dict[str, Any]], bytes]:
    return lambda row: changed(rewards={**row["rewards"], "optimised": total})(row)


@pytest.mark.parametrize(
    ("write_line", "whole"),
    [
        (spaced, True),
        (unescaped, True),
        (backwards, False),
        (changed(label="not of the plan"), False),
        (changed(label="random"), True),  # another label's id
        (changed(prompt="ein rotes Haus für 蛇"), True),  # another prompt's id
        (changed(trajectory=[1.5, None, 0.123456789, 2]), False),
        (changed(trajectory=[]), False),
        (changed(written=1234567890.123), False),
        (changed(displacement=0.1 + 0.2, noise_norm=7), False),
        (with_total(1.25), False),
        (with_total(25), False),
    ],
)
def test_lines_that_nothing_wrote_like_that_come_back_too(
    tmp_path: Path,
    lines: list[bytes],
    write_line: Callable[[dict[str, Any]], bytes],
    *,
    whole: bool,
) -> None:
    row = json.loads(lines[13])
    given = [*lines, write_line(row), lines[0]]
    read_line(given[-2])  # a valid record
    path = write(tmp_path, given)
    assert list(lines_of(path)) == given
    assert list(header_of(path)["whole"]) == ([str(len(lines))] if whole else [])


@pytest.mark.parametrize("record", [FAILED, GRADED, UNJUDGED])
def test_failed_graded_and_unjudged_records_come_back(
    tmp_path: Path, lines: list[bytes], record: Any
) -> None:
    given = [*lines, sealed(record.to_json())[:-1]]
    assert list(lines_of(write(tmp_path, given))) == given


@pytest.mark.parametrize("count", [0, 1])
def test_so_do_no_line_and_one(tmp_path: Path, count: int) -> None:
    given = (OLD / "journal-0000.jsonl").read_bytes().splitlines()[:count]
    assert list(lines_of(write(tmp_path, given, OLD))) == given


def test_a_damaged_file_is_refused_and_never_read_as_something_else(
    tmp_path: Path, lines: list[bytes]
) -> None:
    path = write(tmp_path, lines)
    content = path.read_bytes()
    dice = random.Random(1)
    for place in dice.sample(range(len(content)), 200):
        damaged = bytearray(content)
        damaged[place] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=NAMED):
            list(lines_of(path))
    for size in (0, 1, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(StoreError, match="Put a whole copy back"):
            list(lines_of(path))


def test_what_somebody_changed_and_compressed_again_is_refused(
    tmp_path: Path, lines: list[bytes]
) -> None:
    """Without xz's own check: every byte of the columns, and every field of the header."""
    path = write(tmp_path, lines)
    content = lzma.decompress(path.read_bytes())
    first, _, rest = content.partition(b"\n")
    dice = random.Random(2)
    for place in dice.sample(range(len(rest)), 300):
        damaged = bytearray(rest)
        damaged[place] ^= 1 << dice.randrange(8)
        refuse(path, first + b"\n" + damaged)
    header = json.loads(first)
    for name in header:
        for value in (0, -1, 10**12, None, [], {}, "x", [[]], {"9": "x"}, header["sizes"][:-1]):
            if value != header[name] and name != "schema":
                refuse(path, json.dumps({**header, name: value}).encode() + b"\n" + rest)
    refuse(path, rest)


def refuse(path: Path, content: bytes) -> None:
    path.write_bytes(lzma.compress(content, preset=0))
    with pytest.raises(StoreError, match=NAMED):
        list(lines_of(path))


def test_a_newer_file_is_not_called_damaged(tmp_path: Path, lines: list[bytes]) -> None:
    path = write(tmp_path, lines)
    first, _, rest = lzma.decompress(path.read_bytes()).partition(b"\n")
    newer = msgspec.json.encode({**json.loads(first), "schema": 2, "more": 1})
    path.write_bytes(lzma.compress(newer + b"\n" + rest))
    with pytest.raises(StoreError, match="cannot be used: it was written by a newer hnbench"):
        list(lines_of(path))


@pytest.mark.parametrize("what", ["content", "lines"])
def test_a_file_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = write(tmp_path, lines)
    size = len(lzma.decompress(path.read_bytes())) if what == "content" else sum(map(len, lines))
    monkeypatch.setattr("hnbench.files.journal.SMALL", size - 1)
    monkeypatch.setattr("hnbench.files.journal.LARGEST_RATIO", 0)
    with pytest.raises(StoreError, match="far more bytes unpacked than a journal would"):
        list(lines_of(path))
