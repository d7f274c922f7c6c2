"""Archives are read by the ends of their paths, and nothing in them is written anywhere."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.verification import archives
from hnbench.verification.archives import read_files
from tests.verification.standins import write_tar, write_zip

FILES = {"LDM/anime/00000.jpg": b"one", "LDM/photo/00000.jpg": b"two", "top.jpg": b"three"}


@pytest.fixture(params=["tar", "zip"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "it"
    (write_tar if request.param == "tar" else write_zip)(path, FILES)
    return path


def test_files_are_found_by_the_ends_of_their_paths(archive: Path) -> None:
    wanted = ["anime/00000.jpg", "photo/00000.jpg", "top.jpg"]
    assert read_files(archive, wanted) == dict(zip(wanted, FILES.values(), strict=True))


def test_what_is_missing_is_named(archive: Path) -> None:
    with pytest.raises(
        UsageError, match=r"it lacks 2 files that the check needs, for example anime/00001\.jpg"
    ):
        read_files(archive, ["anime/00001.jpg", "anime/00000.jpg", "nime/00000.jpg"])


def test_a_name_that_is_there_twice_is_refused(archive: Path) -> None:
    with pytest.raises(UsageError, match=r"more than one file 00000\.jpg"):
        read_files(archive, ["00000.jpg"])


def test_a_file_that_is_too_large_is_refused(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST", 3)
    assert read_files(archive, ["anime/00000.jpg"])
    with pytest.raises(UsageError, match=r"top\.jpg in .* is larger"):
        read_files(archive, ["top.jpg"])


@pytest.mark.parametrize("contents", [b"", b"no archive at all", b"\x1f\x8b\x08\x00torn"])
def test_a_damaged_archive_is_told(contents: bytes, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(contents)
    with pytest.raises(UsageError, match="it cannot be read as an archive"):
        read_files(tmp_path / "it", ["a"])


@pytest.mark.parametrize("length", [20, 60, 100])
def test_an_archive_that_ends_in_the_middle_is_told(archive: Path, length: int) -> None:
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(UsageError, match=r"it (cannot be read as an archive|lacks)"):
        read_files(archive, ["top.jpg"])


def test_nothing_is_written_whatever_an_archive_names(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    hostile = {
        "../escaped.jpg": b"x",
        "/tmp/absolute.jpg": b"y",  # noqa: S108
        "a/../../b.jpg": b"z",
    }
    write_tar(inside / "it", hostile)
    before = sorted(tmp_path.rglob("*"))
    assert read_files(inside / "it", ["escaped.jpg", "b.jpg"]) == {
        "escaped.jpg": b"x",
        "b.jpg": b"z",
    }
    write_zip(inside / "it", hostile)
    assert read_files(inside / "it", ["absolute.jpg"]) == {"absolute.jpg": b"y"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"of this machine")
    with tarfile.open(tmp_path / "it", "w") as packed:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo("a/link.jpg")
            entry.type, entry.linkname = kind, str(tmp_path / "secret.jpg")
            packed.addfile(entry)
    with pytest.raises(UsageError, match="lacks 1 files"):
        read_files(tmp_path / "it", ["link.jpg"])


def test_a_zip_that_lies_about_a_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.jpg", bytes(100_000))
    lie = buffer.getvalue().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "it").write_bytes(lie)
    monkeypatch.setattr(archives, "LARGEST", 1000)
    with pytest.raises(UsageError, match=r"it cannot be read as an archive|is larger"):
        read_files(tmp_path / "it", ["a.jpg"])
