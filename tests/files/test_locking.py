"""One process at a time in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.errors import StoreError
from hnbench.files.locking import locked


def test_a_folder_is_held_for_the_length_of_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with locked(folder):
        with pytest.raises(StoreError, match="in use by another process"), locked(folder):
            pass
        with locked(tmp_path / "other"):
            pass
    with locked(folder):
        pass


def test_an_error_in_the_block_gives_the_folder_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match=r"file cannot be written to .*another place"),
        locked(tmp_path / "file"),
    ):
        pass
