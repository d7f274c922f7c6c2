"""The same command again on a finished run: a quick answer, and only where it is the right one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hnbench
from hnbench.api import run as door
from hnbench.catalogue import registry
from hnbench.catalogue.presets import PRESETS
from hnbench.reports.existing import existing_report
from hnbench.weights import verified

COMMAND = ["run", "--suite", "geneval-shapes", "--limit", "2", "--method", "hypernoise"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a copied adapter, which the tests may change in their own copy."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(PRESETS["shapes"].adapters["hypernoise"], folder / "adapter")
    again(folder)
    return folder


@pytest.fixture
def finished(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def again(folder: Path, **changed: Any) -> hnbench.FinishedRun:
    asked = {
        "method": "hypernoise",
        "limit": 2,
        "hypernetwork": folder / "adapter",
        "out": folder / "run",
        "device": "cpu",
        "progress": False,
    }
    return hnbench.run("geneval-shapes", **{**asked, **changed})


class LoadsModels(Exception):  # noqa: N818
    """The normal way was taken."""


def refuse(*_: object) -> None:
    raise LoadsModels


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_execute", refuse)


@pytest.mark.usefixtures("no_models")
def test_a_finished_run_is_read_from_its_folder(made: Path) -> None:
    before = (made / "run" / "run.json").read_bytes()
    found = again(made)
    assert (found.expected, found.done, found.failed, found.new) == (16, 16, 0, 0)
    assert len(found.records) == 16
    assert (made / "run" / "run.json").read_bytes() == before


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize(
    "changed",
    [
        {"limit": 3},
        {"full": True},
        {"method": ["hypernoise", "reno"]},
        {"method": "hypernoise-other-noise"},
        {"seed": 1},
        {"optimise": "redness=1", "hold_out": "shapes-clip"},
        {"hold_out": "redness"},
        {"steps": 2},
        {"dtype": "bfloat16"},
        {"noise_policy": "shared"},
        {"out": "elsewhere"},
    ],
    ids=str,
)
def test_another_command_goes_the_normal_way(finished: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(LoadsModels):
        again(finished, **changed)


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("changed", [{"batch_size": 3}, {"memory": "checkpoint-decoder"}], ids=str)
def test_what_no_result_depends_on_may_change(made: Path, changed: dict[str, Any]) -> None:
    assert again(made, **changed).new == 0


def lose_an_image(folder: Path) -> None:
    next((folder / "run" / "images").rglob("*.png")).unlink()


def lose_a_record(folder: Path) -> None:
    journal = folder / "run" / "journal-0000.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))


def change_the_adapter(folder: Path) -> None:
    weights = folder / "adapter" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def change_the_weights_only(folder: Path) -> None:
    """With the times of before."""
    weights = folder / "adapter" / "adapter_model.safetensors"
    times = [(path, path.stat()) for path in (weights, folder / "adapter")]
    change_the_adapter(folder)
    for path, before in times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def forget_the_prompts(folder: Path) -> None:
    (folder / "adapter" / "prompts.sha256").unlink()


def verify_later(folder: Path) -> None:
    memory = verified.memory_file()
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.touch()
    later = (folder / "run" / "run.json").stat().st_mtime + 10
    os.utime(memory, (later, later))


def another_version(folder: Path) -> None:
    path = folder / "run" / "run.json"
    text = path.read_text()
    assert f'"hnbench": "{hnbench.__version__}"' in text
    path.write_text(text.replace(f'"hnbench": "{hnbench.__version__}"', '"hnbench": "0.0.9"'))


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize(
    "change",
    [
        lose_an_image,
        lose_a_record,
        change_the_adapter,
        change_the_weights_only,
        forget_the_prompts,
        verify_later,
        another_version,
    ],
)
def test_a_changed_folder_goes_the_normal_way(
    finished: Path, change: Callable[[Path], None]
) -> None:
    change(finished)
    with pytest.raises(LoadsModels):
        again(finished)


@pytest.mark.usefixtures("no_models")
def test_a_device_that_does_not_exist_is_refused_all_the_same(made: Path) -> None:
    with pytest.raises(hnbench.UsageError, match="`device` was 'gpu'"):
        again(made, device="gpu")


def test_other_people_s_packages_go_the_normal_way(
    toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version of theirs could mean something else by the same name."""
    asked: dict[str, Any] = {
        "generator": "toy",
        "optimise": {"brightness": 1.0},
        "hold_out": "red",
        "method": "random",
        "out": "run",
        "progress": False,
    }
    hnbench.run("toy-suite", **asked)

    known = registry.GENERATORS.entries
    monkeypatch.setitem(known, "toy", replace(known["toy"], package="toys"))
    monkeypatch.setattr(door, "_execute", refuse)
    with pytest.raises(LoadsModels):
        hnbench.run("toy-suite", **asked)


def command(folder: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with `code` run at its end."""
    text = f"""
import sys
from hnbench.cli.app import main
sys.argv = ["hnbench", *{[*COMMAND, "--hypernetwork", "adapter", "--out", "run"]!r}]
try:
    main()
finally:
    {code or "pass"}
"""
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_answers_without_torch_and_shows_the_report(finished: Path) -> None:
    first = command(finished, "assert 'torch' not in sys.modules")
    assert first.returncode == 0, first.stderr
    path = finished / "run" / "report" / "report.md"
    assert path.is_file()
    heavy = "assert not {'torch', 'pandas', 'matplotlib', 'PIL', 'scipy'} & set(sys.modules)"
    second = command(finished, heavy)
    assert second.returncode == 0, second.stderr
    assert second.stderr.splitlines() == ["all 16 samples are already done in run"]
    assert second.stdout.startswith("# geneval-shapes on shapes")
    assert "## Findings\n" in second.stdout
    assert "| **HyperNoise** |" in second.stdout
    assert second.stdout.endswith(
        "The page: run/report/index.html\nThe report: run/report/report.md\n"
    )


def test_an_older_report_is_none(finished: Path) -> None:
    run = finished / "run"
    assert existing_report(run) is None
    hnbench.report(run)
    found = existing_report(run)
    assert found is not None
    assert "## Plots" not in found[1]
    (run / "measures").mkdir()
    values = run / "measures" / "journal.jsonl"
    values.touch()
    later = found[0].stat().st_mtime + 10
    os.utime(values, (later, later))
    assert existing_report(run) is None


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("lost", [0, 2])
def test_missing_images_are_told_before_the_work(
    finished: Path, lost: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(lost):
        lose_an_image(finished)
    with pytest.raises(LoadsModels):
        again(finished, limit=3, progress=True)
    told = "".join(capsys.readouterr().err.split())
    assert (f"noimagesof{lost}ofitsrecords" in told) == bool(lost)
    assert ("ofitsrecords" in told) == bool(lost)


@pytest.mark.usefixtures("no_models")
def test_images_of_another_run_are_not_told(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lose_an_image(finished)
    with pytest.raises(LoadsModels):
        again(finished, seed=1, progress=True)
    assert "of its records" not in " ".join(capsys.readouterr().err.split())
