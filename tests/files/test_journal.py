"""Lines on the disk: whole, torn and damaged ones, and one writer at a time."""

from __future__ import annotations

import hashlib
import json
import lzma
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from hnbench.errors import StoreError
from hnbench.files.journal import Journal, read_lines, sealed, unsealed


def number(value: Any) -> int:
    return int(value["number"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "lines.jsonl"


def test_what_was_added_is_there_again(path: Path) -> None:
    assert read_lines(path, number) == []
    with Journal(path, number) as journal:
        journal.add([{"number": 1}, {"number": 2}])
        journal.add([])
        assert read_lines(path, number) == journal.lines == [1, 2]
    with Journal(path, number) as journal:
        journal.add([{"number": 3}])
        assert journal.lines == [1, 2, 3]
    assert path.read_bytes() == b"".join(sealed({"number": number}) for number in (1, 2, 3))


def test_a_torn_line_is_dropped_and_the_next_one_stands_by_itself(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"number":1}\n{"numb')
    assert read_lines(path, number) == [1]
    with Journal(path, number) as journal:
        journal.add([{"number": 2}])
    assert read_lines(path, number) == [1, 2]


def test_a_compressed_file_is_read_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    packed = path.with_name("lines.jsonl.xz")
    packed.write_bytes(lzma.compress(b'{"number":1}\n{"number":2}\n'))
    assert read_lines(path, number) == [1, 2]
    with Journal(path, number) as journal:
        journal.add([{"number": 3}])
        assert journal.lines == [1, 2, 3]
    assert read_lines(path, number) == [1, 2, 3]
    assert path.read_bytes() == sealed({"number": 3})
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"lines\.jsonl\.xz is damaged"):
        read_lines(path, number)


@pytest.mark.parametrize("damaged", ["{", "7", '{"other": 1}', '{"number": "x"}'])
def test_damage_is_told_by_file_and_line(path: Path, damaged: str) -> None:
    path.parent.mkdir()
    path.write_text(f'{{"number":1}}\n{damaged}\n{{"number":3}}\n')
    with pytest.raises(StoreError, match=r"lines\.jsonl:2 is damaged .*; remove that line"):
        read_lines(path, number)
    for _ in range(2):
        with pytest.raises(StoreError, match="is damaged"), Journal(path, number):
            pass


def test_what_is_no_number_is_not_written(path: Path) -> None:
    with Journal(path, number) as journal:
        with pytest.raises(ValueError, match="not JSON compliant"):
            journal.add([{"number": 1}, {"number": float("nan")}])
        assert journal.lines == read_lines(path, number) == []


def test_one_writer_at_a_time(path: Path) -> None:
    path.parent.mkdir()
    with (
        FileLock(path.parent / ".lock"),
        pytest.raises(StoreError, match="in use by another process"),
        Journal(path, number),
    ):
        pass


def test_a_folder_that_cannot_be_made(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(StoreError, match=r"cannot be written to .*`out`"), Journal(path, number):
        pass


def test_a_killed_writer_loses_nothing_that_it_added(path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from hnbench.files.journal import Journal
with Journal(Path({str(path)!r}), lambda value: value) as journal:
    for index in range(1000):
        journal.add([{{"number": index}}])
        print(index, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 5:
                writer.send_signal(signal.SIGKILL)
                break
        told = [int(line), *(int(more) for more in writer.stdout)]
    with Journal(path, number) as journal:
        assert journal.lines == list(range(len(journal.lines)))
        assert len(journal.lines) > max(told)
        journal.add([{"number": -1}])
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()][-1] == -1


def test_a_line_ends_with_a_check_value_of_its_content() -> None:
    body = b'{"number":1,"text":"a"}'
    value = hashlib.sha256(body).hexdigest()[:8].encode()
    line = sealed({"number": 1, "text": "a"})
    assert line == body[:-1] + b',"check":"' + value + b'"}\n'
    assert unsealed(line[:-1]) == (body, True)
    assert unsealed(body) == (body, False)


@pytest.mark.parametrize("place", range(len(sealed({"number": 1, "text": "a"})) - 3))
def test_any_changed_byte_is_seen(place: int, path: Path) -> None:
    line = bytearray(sealed({"number": 1, "text": "a"}))
    line[place] ^= 1
    path.parent.mkdir()
    path.write_bytes(bytes(line))
    with pytest.raises(StoreError, match=r"lines\.jsonl:1 is damaged"):
        read_lines(path, strict)


def strict(value: Any) -> Any:
    if value.keys() != {"number", "text"}:
        raise ValueError("other keys")
    return value


def test_a_number_that_is_not_finite_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        sealed({"number": float("nan")})


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"number":NaN}',
        b'{"number":1e999}',
        b'{"number":"\\ud800"}',
        b"\xff",
        b"3",
        b'{"number":"\x1b"}',
    ],
)
def test_hostile_lines_are_one_printable_line(content: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(content + b"\n")
    with pytest.raises(StoreError, match=r"lines\.jsonl:1 is damaged") as caught:
        read_lines(path, number)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["folder", "link to nothing", "link to itself", "device"])
def test_what_is_no_file_is_one_line(kind: str, path: Path) -> None:
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(
            {"link to nothing": "gone", "link to itself": path.name, "device": "/dev/zero"}[kind]
        )
    with pytest.raises(StoreError, match="is not a file"):
        read_lines(path, number)


def test_a_bomb_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("lines.jsonl.xz").write_bytes(lzma.compress(b"0" * 80_000_000, preset=0))
    with pytest.raises(StoreError, match="far more bytes unpacked"):
        read_lines(path, number)
