"""One process for each device, here for two CPUs: the same run as that of one process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import hnbench
from hnbench.catalogue.loading import choose_device, choose_gpus
from hnbench.errors import ProcessFailure, UsageError
from hnbench.runs.launching import Ended, Launched, cores_for_each
from hnbench.runs.shards import Shard
from hnbench.runs.store import RunStore, read_run
from tests.runs.test_kill import lines
from tests.runs.test_processes import content

CALL: dict[str, Any] = {
    "suite": "geneval-shapes",
    "method": "best-of-n:n=2",
    "limit": 6,
    "optimise": {"shapes-clip": 1.0},
    "hold_out": "redness",
    "batch_size": 4,
}


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnbench.api.arguments.choose_gpus", lambda _: ["cpu", "cpu"])


@pytest.mark.usefixtures("two_cpus")
def test_two_devices_give_the_run_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processes have the options of the call, and take none from the environment again.
    monkeypatch.setenv("HNBENCH_RUN_FULL", "1")
    monkeypatch.setenv("HNBENCH_RUN_GPUS", "all")
    hnbench.run(**CALL, out=tmp_path / "one", progress=False)
    found = hnbench.run(**CALL, out=tmp_path / "two", gpus="all")
    assert (found.expected, found.done, found.failed, found.new) == (48, 48, 0, 48)
    assert found.complete
    assert content(tmp_path / "two") == content(tmp_path / "one")
    said = capsys.readouterr().err
    assert "shard 1 of 2 on cpu, shard 2 of 2 on cpu" in said
    assert "all methods: 48/48, now 2 processes" in said
    again = hnbench.run(**CALL, out=tmp_path / "two", gpus="all", progress=False)
    assert (again.new, again.done) == (0, 48)
    for image in sorted((tmp_path / "two" / "images").rglob("*.png"))[:7]:
        image.unlink()
    mended = hnbench.run(**CALL, out=tmp_path / "two", gpus="all")
    assert (mended.new, mended.done) == (7, 48)
    said = capsys.readouterr().err
    assert " 41/48" in said
    assert {int(found[1]) for found in re.finditer(r"methods: (\d+)/48", said)} <= {*range(49)}
    # A machine of several: its part of the run on its own devices.
    third = hnbench.run(**CALL, out=tmp_path / "x", gpus="all", shard="2/3", progress=False)
    assert (third.expected, third.run_expected, third.complete) == (16, 48, False)
    sessions = read_run(tmp_path / "x").manifest["sessions"]
    assert sorted(session["shard"] for session in sessions) == ["2/6", "5/6"]


@pytest.mark.usefixtures("two_cpus")
def test_a_process_that_fails_is_shown_with_its_last_lines_and_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    with (
        RunStore(folder, Shard(1, 2)),
        pytest.raises(ProcessFailure, match=r"1 of 2 processes failed: .*exit code 4") as caught,
    ):
        hnbench.run(**CALL, out=folder, gpus="0,1")
    assert caught.value.exit_code == 4
    assert "in use by another process" in str(caught.value)
    said = " ".join(capsys.readouterr().err.split())
    assert "shard 1 of 2 on cpu ended with exit code 4; its last lines:" in said
    assert "in use by another process" in said
    assert len(read_run(folder).records) == 24, "the other process computes its part"


def test_sigterm_is_passed_on_once_and_the_same_command_continues(tmp_path: Path) -> None:
    code = f"""
import sys, hnbench.api.arguments as arguments
arguments.choose_gpus = lambda _: ["cpu", "cpu"]
from hnbench.cli.app import main
sys.argv = ["hnbench", "run", "--suite", "geneval-shapes", "--method", "reno:iterations=20",
            "--limit", "6", "--batch-size", "2", "--gpus", "all", "--out", {str(tmp_path)!r}]
main()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and lines(tmp_path) < 28:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143, said
    assert "interrupted; what was computed is kept" in said
    found = read_run(tmp_path)
    assert 28 <= len(found.records) < 48
    # The processes ended in order: nobody holds the folder, and no batch was cut in two.
    assert {path.name for path in tmp_path.glob(".lock*")} == {".lock-gate"}
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "48/48" in again.stderr
    assert (tmp_path / "report" / "report.md").is_file()


def test_the_worst_exit_code_counts() -> None:
    def worst(*codes: int) -> int:
        return Launched(tuple(Ended("x", code, ()) for code in codes), None, 0).worst.code

    assert worst(0, 3, 0) == 3
    assert worst(3, 2) == 2
    assert worst(4, 2, 3) == 4
    assert worst(137, 4) == 137


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1", "finds 1 CUDA devices"),
        ("0,0", "each number once"),
        ("one", "give all, or numbers"),
        ("", "give all, or numbers"),
    ],
)
def test_gpus_that_are_not_there_are_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=message):
        choose_gpus(text)
    assert choose_gpus("all") == ["cuda:0"]


def test_without_a_gpu_all_of_them_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="finds 0 CUDA devices"):
        choose_gpus("all")
    with pytest.raises(UsageError, match="leave out `device`"):
        hnbench.run("geneval-shapes", gpus="all", device="cpu")


@pytest.mark.parametrize(
    ("there", "rank", "chosen"),
    [(0, 3, "cpu"), (1, 3, "cuda"), (4, 3, "cuda:3"), (4, 5, "cuda:1"), (4, None, "cuda")],
)
def test_the_local_rank_chooses_the_gpu(
    monkeypatch: pytest.MonkeyPatch, there: int, rank: int | None, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert choose_device("auto", rank) == chosen
    assert choose_device("cpu", rank) == "cpu"


def test_processes_on_one_device_give_the_run_of_one_and_divide_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    given: list[dict[str, str]] = []
    popen = subprocess.Popen

    def watched(command: list[str], **named: Any) -> subprocess.Popen[bytes]:
        if "hnbench" not in command:
            return popen(command, **named)
        given.append(dict(named["env"]))
        # The numbers are equal only for equal threads, and this machine may have fewer cores.
        return popen(command, **{**named, "env": {**named["env"], "OMP_NUM_THREADS": "1"}})

    monkeypatch.setattr(subprocess, "Popen", watched)
    call = {**CALL, "limit": 3, "device": "cpu"}
    hnbench.run(**call, out=tmp_path / "one", progress=False)
    found = hnbench.run(**call, out=tmp_path / "three", processes=3, progress=False)
    assert (found.expected, found.done, found.new) == (24, 24, 24)
    assert content(tmp_path / "three") == content(tmp_path / "one")
    sessions = read_run(tmp_path / "three").manifest["sessions"]
    assert sorted(session["shard"] for session in sessions) == ["1/3", "2/3", "3/3"]
    assert [env["OMP_NUM_THREADS"] for env in given] == ["2", "2", "2"]

    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    hnbench.run(**call, out=tmp_path / "two", processes=2, progress=False)
    assert [env["OMP_NUM_THREADS"] for env in given[3:]] == ["5", "5"]


def test_cores_are_counted_where_the_system_does_not_say_which_ones_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5, 6, 7}, raising=False)
    assert [cores_for_each(count) for count in (1, 2, 5, 9)] == [5, 2, 1, 1]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert [cores_for_each(count) for count in (1, 3)] == [8, 2]
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores_for_each(2) == 1


def test_processes_that_cannot_be_started_are_refused(tmp_path: Path) -> None:
    for call, message in (
        ({"processes": 0}, "`processes` was 0; it must be at least 1"),
        ({"processes": 2, "gpus": "all"}, "leave out `processes`"),
    ):
        with pytest.raises(UsageError, match=message):
            hnbench.run("geneval-shapes", out=tmp_path / "run", progress=False, **call)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("device", "expected"), [("cuda:0", None), ("cpu", 3)])
def test_only_processes_on_a_cpu_divide_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, expected: int | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.setattr("hnbench.api.arguments.choose_gpus", lambda _: [device, device])

    def launch(*_: Any, threads: int | None) -> Launched:
        raise RuntimeError(f"threads: {threads}")

    monkeypatch.setattr("hnbench.runs.launching.launch", launch)
    with pytest.raises(RuntimeError, match=f"threads: {expected}$"):
        hnbench.run(**CALL, out=tmp_path, gpus="all", progress=False)
