"""A packed run is the run that was packed, for every reader, whenever the packing is killed."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from hnbench.display.screen import Screen
from hnbench.errors import StoreError
from hnbench.runs import journals, packing
from hnbench.runs.journals import journals_of, place_of
from hnbench.runs.merging import merge
from hnbench.runs.packing import pack
from hnbench.runs.store import Run, read_run
from tests.runs.test_old_runs import FOLDER as OLD
from tests.runs.world import run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two sessions, the second with failures of the first tried again."""
    folder = tmp_path_factory.mktemp("packing") / "run"
    run(folder)
    (first,) = journals_of(folder)
    lines = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(b"".join(lines[:-5]) + lines[-5][:40])  # killed within a line
    run(folder)
    assert len(journals_of(folder)) == 2
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def names(folder: Path) -> list[str]:
    return [path.name for path in journals_of(folder)]


def content(found: Run) -> Any:
    return found.manifest, found.records, found.unchecked, found.frame().to_csv()


PACKED = ["journal-0000.columns.xz", "journal-0001.columns.xz"]


def test_a_run_can_be_read_while_it_is_packed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(read_run(folder))
    listed: list[list[str]] = []

    def listed_and_packed(folder: Path) -> list[Path]:
        found = journals_of(folder)
        listed.append([path.name for path in found])
        if len(listed) == 1:
            pack(folder)
        return found

    monkeypatch.setattr(journals, "journals_of", listed_and_packed)
    assert content(read_run(folder)) == before
    assert listed == [["journal-0000.jsonl", "journal-0001.jsonl"], PACKED]


def test_a_packed_run_is_read_as_before(folder: Path) -> None:
    before = content(read_run(folder))
    sizes = sum(path.stat().st_size for path in journals_of(folder))
    found = pack(folder)
    assert names(folder) == PACKED
    assert (found.folder, found.before) == (folder, sizes)
    assert found.after == sum(path.stat().st_size for path in journals_of(folder)) < sizes / 2
    assert found.records == len(before[1]) == 48
    assert content(read_run(folder)) == before
    again = pack(folder)
    assert (again.records, again.before, again.after) == (48, found.after, found.after)


def test_places_of_records_are_those_of_the_lines(folder: Path) -> None:
    ids = [record.id for record in read_run(folder).records]
    before = [place_of(folder, one) for one in ids]
    pack(folder)
    assert [place_of(folder, one) for one in ids] == [
        one.replace(".jsonl", ".columns.xz") for one in before
    ]


def test_undo_gives_every_whole_line_byte_for_byte(made: Path, folder: Path) -> None:
    pack(folder)
    pack(folder, undo=True)
    assert names(folder) == ["journal-0000.jsonl", "journal-0001.jsonl"]
    for path in journals_of(made):
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        assert (folder / path.name).read_bytes() == whole + b"\n"


def test_compressed_journals_and_old_records_are_packed_too(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    plain = tmp_path / "old" / "journal-0000.jsonl"
    lines = plain.read_bytes()
    plain.with_name("journal-0000.jsonl.xz").write_bytes(lzma.compress(lines))
    plain.unlink()
    before = content(read_run(tmp_path / "old"))
    pack(tmp_path / "old")
    assert names(tmp_path / "old") == PACKED[:1]
    assert content(read_run(tmp_path / "old")) == before
    pack(tmp_path / "old", undo=True)
    assert plain.read_bytes() == lines


def test_a_run_goes_on_in_a_new_journal(folder: Path) -> None:
    pack(folder)
    records = read_run(folder).records
    assert record_images(folder)
    for path in record_images(folder)[:3]:
        path.unlink()
    run(folder)
    assert names(folder) == [*PACKED, "journal-0002.jsonl"]
    assert len((folder / "journal-0002.jsonl").read_bytes().splitlines()) >= 3
    assert {record.id for record in read_run(folder).records} == {record.id for record in records}
    pack(folder)
    assert names(folder) == [*PACKED, "journal-0002.columns.xz"]


def record_images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


def test_a_merge_takes_packed_journals_and_knows_their_sessions(made: Path, folder: Path) -> None:
    pack(folder)
    with Screen(shown=False) as screen, screen.stages() as display:
        merge([made], folder.parent / "plain", display)
        merge([folder], folder.parent / "merged", display)
    assert names(folder.parent / "merged") == PACKED
    for name in ("plain", "merged"):
        found = read_run(folder.parent / name)
        assert content(found)[1] == content(read_run(made))[1]
        listed = [session["journal"] for session in found.manifest["sessions"]]
        assert listed == names(folder.parent / name)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("undo", [False, True])
@pytest.mark.parametrize("step", ["write_whole", "lines_of", "unlink"])
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_a_kill_at_any_step_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, turn: int, *, undo: bool
) -> None:
    if undo:
        pack(folder)
    before = content(read_run(folder))[1:]
    calls = iter(range(100))

    def killed(real: Any) -> Any:
        def one(*arguments: Any, **named: Any) -> Any:
            if next(calls) == turn:
                raise Killed
            return real(*arguments, **named)

        return one

    with monkeypatch.context() as patch:
        if step == "unlink":
            real = Path.unlink

            def unlink(self: Path, missing_ok: bool = False) -> None:
                if self.name.startswith("journal-") and self.suffix != ".tmp":
                    killed(lambda: real(self, missing_ok=missing_ok))()
                else:
                    real(self, missing_ok=missing_ok)

            patch.setattr(Path, "unlink", unlink)
        else:
            patch.setattr(packing, step, killed(getattr(packing, step)))
        if step == "lines_of" or turn < 2:
            with pytest.raises(Killed):
                pack(folder, undo=undo)
    assert content(read_run(folder))[1:] == before
    pack(folder, undo=undo)
    assert content(read_run(folder))[1:] == before
    assert names(folder) == (["journal-0000.jsonl", "journal-0001.jsonl"] if undo else PACKED)


def test_a_journal_is_not_removed_for_a_packed_one_with_other_lines(folder: Path) -> None:
    (folder / PACKED[0]).write_bytes(b"")
    with pytest.raises(StoreError, match="is damaged"):
        pack(folder)
    pack_only = folder.parent / "other"
    shutil.copytree(folder, pack_only)
    (pack_only / PACKED[0]).unlink()
    (pack_only / "journal-0000.jsonl").unlink()
    pack(pack_only)
    shutil.copy(pack_only / PACKED[1], folder / PACKED[0])
    with pytest.raises(StoreError, match=r"journal-0000\.columns\.xz has other lines than"):
        pack(folder)
    assert names(folder) == [PACKED[0], "journal-0000.jsonl", "journal-0001.jsonl"]


def test_damaged_journals_and_other_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    path = folder / "journal-0001.jsonl"
    lines = path.read_bytes()
    path.write_bytes(lines.replace(b'"sample":1', b'"sample":0'))
    with pytest.raises(StoreError, match=r"journal-0001\.jsonl:\d+ is damaged"):
        pack(folder)
    assert path.exists()
    with pytest.raises(StoreError, match="is not a run folder"):
        pack(tmp_path)


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    with FileLock(folder / ".lock"), pytest.raises(StoreError, match="another"):
        pack(folder)
    assert names(folder) == ["journal-0000.jsonl", "journal-0001.jsonl"]


def test_the_manifest_is_left_alone(made: Path, folder: Path) -> None:
    pack(folder)
    assert (folder / "run.json").read_bytes() == (made / "run.json").read_bytes()
    assert json.loads((folder / "run.json").read_text())["sessions"]
