"""Places that cannot be written to, by every command that writes: one line with the place, the
cause and advice that fits.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from hnbench.cli.app import app
from hnbench.errors import StoreError
from hnbench.files.journal import Journal
from hnbench.files.writing import ADVICE, replace_folder, writing
from hnbench.hypernetwork.folder import State, TrainingFolder
from hnbench.runs.store import RunStore
from tests.reports.synthetic import write_run

TRAIN = [
    "train",
    "--prompts",
    "prompts.txt",
    "--steps",
    "1",
    "--batch-size",
    "1",
    "--rank",
    "1",
    "--out",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a file where folders should be, and prompts."""
    made = tmp_path_factory.mktemp("writing")
    write_run(made / "run", labels=("random", "reno"))
    (made / "file").write_text("mine")
    (made / "prompts.txt").write_text("a red circle\n")
    return made


def told(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, arguments, prog_name="hnbench")
    assert result.exit_code == StoreError.exit_code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("hnbench:")]
    assert len(lines) == 1
    assert (folder / "file").read_text() == "mine"
    return lines[0]


@pytest.mark.parametrize("place", ["file", "file/sub"])
@pytest.mark.parametrize(
    "command",
    [
        ["report", "run", "--out"],
        [*TRAIN],
        ["run", "--suite", "geneval-shapes", "--limit", "1", "--method", "random", "--out"],
    ],
    ids=lambda command: command[0],
)
def test_a_file_where_a_folder_has_to_be(
    command: list[str], place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = told([*command, place], folder, monkeypatch)
    assert f"hnbench: {place} cannot be written to (" in line
    assert "a file is where a folder has to be" in line
    assert "make room" not in line


@pytest.mark.parametrize("place", ["file", "file/sub"])
def test_a_file_where_score_and_measure_keep_what_they_found(place: str, folder: Path) -> None:
    with pytest.raises(StoreError, match="a file is where a folder has to be"):
        Journal(folder / place / "journal.jsonl", lambda value: value).__enter__()


def test_a_name_that_is_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = told(["report", "run", "--out", "x" * 300], folder, monkeypatch)
    assert "File name too long" in line
    assert "give a shorter name" in line


def test_a_results_folder_that_is_a_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").write_text("mine")
    (tmp_path / "file").write_text("mine")
    line = told(
        ["run", "--suite", "geneval-shapes", "--limit", "1", "--method", "random"],
        tmp_path,
        monkeypatch,
    )
    assert "hnbench: results/" in line
    assert "a file is where a folder has to be" in line


def fail_with(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "deep/file")

    return fail


CAUSES = [
    (errno.ENOSPC, "make room"),
    (errno.EROFS, "read-only"),
    (errno.EACCES, "get the right to write there"),
    (errno.EFBIG, "ulimit -f"),
    (errno.EIO, "look at the disk"),
    (errno.ENOENT, "give another place"),
]


@pytest.mark.parametrize(("number", "advice"), CAUSES)
def test_the_advice_fits_the_cause(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for every place that writes."""
    training = TrainingFolder(tmp_path)
    journal: Journal[object] = Journal(tmp_path / "j.jsonl", lambda value: value)
    with RunStore(tmp_path / "run") as store, training.locked(), monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail_with(number))
        patch.setattr("os.open", fail_with(number))
        writers: list[Callable[[], object]] = [
            lambda: store.save_image("ab", b"png"),
            lambda: training.claim({}),
            lambda: training.save(State(1, {}, {})),
            lambda: journal.add([{"a": 1}]),
        ]
        for write in writers:
            with pytest.raises(StoreError, match=advice) as caught:
                write()
            assert os.strerror(number) in str(caught.value)
            assert str(tmp_path) in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("number", "advice"), CAUSES[:5])
def test_what_no_command_expects_is_still_one_line(
    number: int, advice: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnbench.api.report.newest_run", fail_with(number))
    line = told(["report"], folder, monkeypatch)
    assert line == f"hnbench: deep/file: {os.strerror(number)}; {ADVICE[number]}"
    assert advice in line


def test_an_error_that_is_no_place_keeps_its_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnbench.api.report.newest_run", fail_with(errno.ENOENT))
    assert isinstance(CliRunner().invoke(app, ["report"]).exception, FileNotFoundError)


def test_safetensors_says_its_cause_by_number(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a folder is where a file has to be"), writing(tmp_path):
        save_file({"a": torch.zeros(1)}, tmp_path)


def test_a_training_and_a_report_beyond_the_limit_on_files(folder: Path) -> None:
    """`ulimit -f` stops root as well: nothing is lost but what could not be written."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HF_HUB_OFFLINE": "1"}
    for arguments in (["report", "run", "--out", "limited"], [*TRAIN, "trained"]):
        command = [sys.executable, "-m", "hnbench", *arguments]
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            capture_output=True,
            check=False,
            preexec_fn=limit,
            text=True,
        )
        assert done.returncode == 4, done.stderr
        assert "Traceback" not in done.stderr
        assert "File too large" in done.stderr
        assert "ulimit -f" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes there")
def test_a_replaced_folder_is_whole_on_the_disk_with_the_mode_of_new_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, folder, synced = tmp_path / "working", tmp_path / "folder", list[int]()
    for place, name in ((working, "new"), (folder, "old")):
        place.mkdir()
        (place / name).write_text(name)
        (place / name).chmod(0o600)
    inode, fsync = (working / "new").stat().st_ino, os.fsync

    def noted(descriptor: int) -> None:
        assert (folder / "old").exists()
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr("hnbench.files.writing.os.fsync", noted)
    before = os.umask(0o027)
    try:
        replace_folder(working, folder)
    finally:
        os.umask(before)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert (folder / "new").stat().st_mode & 0o777 == 0o640
    assert synced == [inode]
    assert not working.exists()
