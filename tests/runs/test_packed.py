"""A packed journal has the lines that were packed, byte for byte, or is refused."""

from __future__ import annotations

import json
import lzma
import random
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hnbench.errors import StoreError
from hnbench.files.journal import sealed, unsealed
from hnbench.runs.journals import Union, journals_of, lines_of, read_line
from hnbench.runs.packed import packed
from tests.runs.test_old_runs import FOLDER as OLD
from tests.runs.test_record import FAILED, GRADED, UNJUDGED

REFERENCE = Path(__file__).parents[2] / "results" / "geneval-shapes" / "seed0"
NAMED = r"journal-0000\.columns\.xz"
EQUAL = Path(__file__).parents[2] / "results" / "equal-budget" / "seed0"


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    return found


def plain(folder: Path) -> list[bytes]:
    """The lines of all journals of a run."""
    return [line for path in journals_of(folder) for line in lines_of(path)]


def write(path: Path, lines: list[bytes], folder: Path = REFERENCE) -> Path:
    path = path / "journal-0000.columns.xz"
    path.write_bytes(packed(lines, manifest_of(folder)))
    return path


def header_of(path: Path) -> dict[str, Any]:
    with lzma.open(path) as file:
        found: dict[str, Any] = json.loads(file.readline())
    return found


def of_samples(folder: Path, count: int) -> list[list[bytes]]:
    """The lines of the first samples, each with those of all labels."""
    found: dict[tuple[str, int], list[bytes]] = {}
    for line in plain(folder):
        row = json.loads(line)
        found.setdefault((row["prompt_id"], row["sample"]), []).append(line)
    return list(found.values())[:count]


def first_schema(line: bytes) -> bytes:
    """The line as it was before there were check values."""
    row = {**json.loads(unsealed(line)[0]), "schema": 1}
    del row["written"]
    return json.dumps(row, separators=(",", ":")).encode()


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Two samples of 12 labels, those of one without check values, as older runs have them."""
    today, older = of_samples(REFERENCE, 2)
    return today[:12] + list(map(first_schema, older[:12]))


def test_the_lines_of_a_reference_run_come_back_in_half_of_the_bytes(tmp_path: Path) -> None:
    lines = [line for sample in of_samples(REFERENCE, 160) for line in sample]
    random.Random(0).shuffle(lines)
    path = write(tmp_path, lines)
    assert list(lines_of(path)) == lines
    assert header_of(path)["whole"] == {}
    assert path.stat().st_size < 58 * len(lines)
    assert len(lzma.compress(b"\n".join(lines))) > 110 * len(lines)


def test_so_do_those_of_all_methods(tmp_path: Path) -> None:
    lines = plain(EQUAL)
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
    wrong: tuple[Any, ...] = (0, -1, 10**12, None, [], {}, "x", [[]], {"9": "x"})
    for name in header:
        for value in wrong:
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


class ByTheDocument:
    """The reader that docs/run-format.md describes, without any code of hnbench."""

    def __init__(self, path: Path) -> None:
        first, _, self.rest = lzma.decompress(path.read_bytes()).partition(b"\n")
        self.header = json.loads(first)

    def take(self, size: int) -> bytes:
        part, self.rest = self.rest[:size], self.rest[size:]
        return part

    @staticmethod
    def series(part: bytes) -> list[int]:
        width, planes = part[0], part[1:]
        count = len(planes) // width
        folded = [sum(planes[at + i * count] << 8 * i for i in range(width)) for at in range(count)]
        return [-(one + 1) // 2 if one % 2 else one // 2 for one in folded]

    @staticmethod
    def number(rank: int, digits: int) -> float:
        if rank == 0:
            return 0.0
        decade, place = divmod(abs(rank) - 1, 9 * 10 ** (digits - 1))
        text = f"{10 ** (digits - 1) + place}e{decade - 12 - (digits - 1)}"
        return float(Decimal(text)) * (1 if rank > 0 else -1)

    def rows(self) -> list[dict[str, Any]]:
        label_of = self.series(self.take(self.header["labels"]))
        parts = [self.take(size) for size in self.header["sizes"]]
        assert self.rest == b""
        shape_of = self.series(parts[0])
        members: dict[str, list[int]] = {}
        for row, shape in enumerate(shape_of):
            for place, kind in self.header["shapes"][shape]:
                members.setdefault(json.dumps([place, kind]), []).append(row)
        values: dict[tuple[str, int], Any] = {}
        for at, (place, kind, key) in enumerate(self.header["columns"]):
            rows = members[json.dumps([place, kind])]
            read = self.lists if kind == "numbers" else self.distinct
            keys = [json.dumps(values.get((json.dumps(key), row))) for row in rows]
            found = read(kind, parts[1 + 2 * at], parts[2 + 2 * at], keys)
            values.update(
                {(json.dumps(place), row): one for row, one in zip(rows, found, strict=True)}
            )
        made: list[dict[str, Any]] = []
        for row, shape in enumerate(shape_of):
            made.append({})
            for place, _ in self.header["shapes"][shape]:
                inside = made[-1] if len(place) == 1 else made[-1].setdefault(place[0], {})
                inside[place[-1]] = values.get((json.dumps(place), row))
        # Rows follow label by label, and lines do not.
        order = sorted(range(len(made)), key=lambda line: label_of[line])
        return [row for _, row in sorted(zip(order, made, strict=True), key=lambda one: one[0])]

    def distinct(self, kind: str, first: bytes, second: bytes, keys: list[str]) -> list[Any]:
        new: list[Any]
        if kind == "sha256":
            new = [second[at : at + 32].hex() for at in range(0, len(second), 32)]
        elif kind == "number":
            new = [self.number(rank, 7) for rank in self.series(second)]
        else:
            new = list(map(json.loads, second.decode().split("\n")))
        known: dict[str, list[Any]] = {}
        found = []
        for code, key in zip(self.series(first), keys, strict=True):
            own = known.setdefault(key, [])
            value = own[code - 1] if code else new.pop(0)
            if not code:
                own.append(value)
            found.append(value)
        return found

    def lists(self, _: str, first: bytes, second: bytes, keys: list[str]) -> list[Any]:
        heads, changes = self.series(first), self.series(second)
        known: dict[str, list[list[int]]] = {}
        found = []
        for at, key in enumerate(keys):
            length, like, shared = heads[3 * at : 3 * at + 3]
            own = known.setdefault(key, [])
            ranks = own[like - 1][:shared] if like else []
            while len(ranks) < length:
                ranks = [*ranks, (ranks[-1] if ranks else 0) + changes.pop(0)]
            own.append(ranks)
            found.append([self.number(rank, 5) for rank in ranks])
        return found


def test_the_document_describes_the_file(tmp_path: Path) -> None:
    given = random.Random(3).sample(plain(EQUAL), 300)
    reader = ByTheDocument(write(tmp_path, given, EQUAL))
    assert reader.header["sha256"] == sha256(b"\n".join([*given, b""])).hexdigest()
    rows = reader.rows()
    assert len(rows) == len(given)
    for row, line in zip(rows, given, strict=True):
        assert (row.pop("id"), row["image"].pop("path"), row.pop("check")) == (None, None, True)
        rewards = row["rewards"]
        if rewards["optimised"] is None:
            weights = reader.header["weights"].items()
            total = sum(weight * rewards[name] for name, weight in weights)
            rewards["optimised"] = float(f"{total:.7g}")
        expected = json.loads(unsealed(line)[0])
        del expected["id"], expected["image"]["path"]
        assert row == expected
