"""Lines on the disk: whole, torn and damaged ones, and one writer at a time."""

from __future__ import annotations

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
from hnbench.journal import Journal, read_lines


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
    assert path.read_text() == '{"number":1}\n{"number":2}\n{"number":3}\n'


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
    assert path.read_text() == '{"number":3}\n'
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
    with FileLock(path.parent / ".lock"), pytest.raises(StoreError, match="in use by another process"), Journal(path, number):
        pass


def test_a_folder_that_cannot_be_made(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(StoreError, match=r"cannot be written to .*--out"), Journal(path, number):
        pass


def test_a_killed_writer_loses_nothing_that_it_added(path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from hnbench.journal import Journal
with Journal(Path({str(path)!r}), lambda value: value) as journal:
    for index in range(1000):
        journal.add([{{"number": index}}])
        print(index, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
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
