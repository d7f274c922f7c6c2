"""Parts of a folder: those with something in common exclude each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnbench.errors import StoreError
from hnbench.files.locking import locked
from hnbench.files.sharing import GATE, gate, part_locked


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ((1, 3), (2, 3), True),
        ((1, 3), (1, 3), False),
        ((1, 1), (2, 3), False),
        ((2, 3), (1, 1), False),
        ((1, 2), (2, 4), True),
        ((1, 2), (3, 4), False),
        ((1, 2), (1, 3), False),
    ],
)
def test_parts_with_something_in_common_exclude_each_other(
    tmp_path: Path, one: tuple[int, int], other: tuple[int, int], together: bool
) -> None:
    with part_locked(tmp_path, *one):
        if together:
            with part_locked(tmp_path, *other):
                pass
        else:
            with (
                pytest.raises(StoreError, match="in use by another process"),
                part_locked(tmp_path, *other),
            ):
                pass
    with part_locked(tmp_path, *other):
        pass


def test_the_whole_is_the_lock_of_one_process(tmp_path: Path) -> None:
    """What an older hnbench has locked is in use, and what is in use here is locked for it."""
    with locked(tmp_path), pytest.raises(StoreError, match="in use"), part_locked(tmp_path, 2, 3):
        pass
    with (
        part_locked(tmp_path, 1, 1),
        pytest.raises(StoreError, match="in use"),
        locked(tmp_path),
    ):
        pass


def test_the_locks_of_parts_are_removed_also_those_of_killed_processes(tmp_path: Path) -> None:
    (tmp_path / ".lock-1-of-2").touch()
    (tmp_path / ".lock-3-of-4").touch()
    (tmp_path / ".lock-note").touch()
    with part_locked(tmp_path, 1, 2) as path:
        assert path.name == ".lock-1-of-2"
        assert not (tmp_path / ".lock-3-of-4").exists()
    assert {path.name for path in tmp_path.iterdir()} == {GATE, ".lock-note"}


def test_a_gate_that_stays_shut_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnbench.files.sharing.PATIENCE", 0.05)
    with (
        gate(tmp_path),
        pytest.raises(StoreError, match=r"\.lock-gate is held by another process"),
        part_locked(tmp_path, 1, 2),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written to"), part_locked(tmp_path, 1, 2):
        pass
