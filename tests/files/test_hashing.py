from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.files.hashing import sha256_of, sha256_of_file

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""Of `abc`: an example of FIPS 180-2."""


def test_the_published_example(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(b"abc") == sha256_of_file(path) == ABC


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_of_file(tmp_path / "gone")
