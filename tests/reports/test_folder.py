"""A report's folder: whole files after a kill, files of others kept, two reports at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hnbench.errors import StoreError, UsageError
from hnbench.reports import folder
from hnbench.reports.folder import WORKING, replacing
from hnbench.reports.report import FILES, write
from hnbench.reports.summary import Summary

NAMES = ("summary.csv", "a.png", "b.png", "report.md")
HEADER = "label,metric,estimate\n"
PACKAGE = Path(__file__).parents[2]


def fill(out: Path, text: str, names: tuple[str, ...] = NAMES) -> None:
    with replacing(out, NAMES) as working:
        for name in names:
            (working / name).write_text(HEADER + text)


def content(out: Path) -> dict[str, str]:
    return {
        path.name: path.read_text()
        for path in out.iterdir()
        if path.name != folder.LOCK and path.is_file()
    }


DYING = """
import itertools, os, sys
from pathlib import Path
from hnbench.reports.folder import replacing

out, at, steps = Path(sys.argv[1]), int(sys.argv[2]), itertools.count()

def dying(real):
    def call(*args, **kwargs):
        if next(steps) == at:
            os._exit(9)
        return real(*args, **kwargs)
    return call

for name in ("mkdir", "replace", "unlink", "write_text"):
    setattr(Path, name, dying(getattr(Path, name)))
with replacing(out, ("summary.csv", "a.png", "b.png", "report.md")) as working:
    for name in ("summary.csv", "b.png", "report.md"):
        (working / name).write_text("label,metric,estimate\\nnew")
"""
"""A report that is gone at the beginning of the n-th step that changes the disk."""


def python(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )


@pytest.mark.parametrize("before", ["old", ""])
def test_a_kill_at_any_step_leaves_whole_files_and_the_next_report_is_whole(
    tmp_path: Path, before: str
) -> None:
    new = dict.fromkeys(("summary.csv", "b.png", "report.md"), HEADER + "new")
    kills, killed = 0, 9
    while killed == 9:
        out = tmp_path / f"{kills}"
        if before:
            fill(out, before)
            (out / "my notes.md").write_text("mine")
        old = content(out) if before else {}
        killed = python(DYING, out, kills).wait(60)
        found = content(out) if out.exists() else {}
        assert all(text in (old.get(name), new.get(name)) for name, text in found.items())
        if found.get("report.md") == new["report.md"]:
            assert all(found[name] == text for name, text in new.items())
        kills += 1
        fill(out, "new", tuple(new))
        assert content(out) == {**new, **({"my notes.md": "mine"} if before else {})}
        assert not (out / WORKING).exists()
    assert kills > 8


def test_an_error_leaves_the_old_report(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    before = content(tmp_path)
    with pytest.raises(FileNotFoundError), replacing(tmp_path, NAMES) as working:
        (working / "report.md").write_bytes((working / "not there").read_bytes())
    assert content(tmp_path) == before
    assert not (tmp_path / WORKING).exists()


@pytest.mark.parametrize(
    "name", ["report.md", "summary.csv", "records.csv", "noise.png", "headline.json"]
)
def test_files_of_others_are_not_written_over(tmp_path: Path, summary: Summary, name: str) -> None:
    (tmp_path / name).write_text("my own notes")
    with pytest.raises(UsageError, match=f"{name} was not written by `hnbench report`; move it"):
        write(summary, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "my own notes"}


def test_files_of_others_with_other_names_are_kept(tmp_path: Path, summary: Summary) -> None:
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "report.md").write_text(
        ""
    )  # what a version before this one left when it was killed
    write(summary, tmp_path)
    write(summary, tmp_path)
    assert (tmp_path / "notes.md").read_text() == "mine"
    assert set(FILES) <= {path.name for path in tmp_path.iterdir()}


def test_a_report_of_any_version_is_replaced(tmp_path: Path) -> None:
    """The committed ones have no `records.csv`."""
    for name, text in {"summary.csv": HEADER, "report.md": "# old", "a.png": "png"}.items():
        (tmp_path / name).write_text(text)
    fill(tmp_path, "new")
    assert set(content(tmp_path).values()) == {HEADER + "new"}


def test_a_folder_in_place_of_a_file_changes_nothing(tmp_path: Path, summary: Summary) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(
        StoreError, match=r"Is a directory at .*report\.md.*a folder is where a file has to be"
    ):
        write(summary, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


OFTEN = """
import sys
from pathlib import Path
from hnbench.reports.folder import replacing

out, text, names = Path(sys.argv[1]), sys.argv[2], ("summary.csv", "a.png", "b.png", "report.md")
for _ in range(30):
    with replacing(out, names) as working:
        for name in names:
            (working / name).write_text("label,metric,estimate\\n" + text)
"""


def test_reports_at_once_do_not_mix(tmp_path: Path) -> None:
    writers = [python(OFTEN, tmp_path, number) for number in range(4)]
    assert [one.wait(120) for one in writers] == [0] * 4
    assert set(content(tmp_path)) == set(NAMES)
    assert len(set(content(tmp_path).values())) == 1


def test_who_waits_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.1)
    with (
        replacing(tmp_path, NAMES),
        pytest.raises(StoreError, match="another report is being written"),
    ):
        fill(tmp_path, "second")
