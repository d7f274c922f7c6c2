"""The example in `examples/plugin`, built, installed, tested and run as its README says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hnbench.runs.store import read_run

ROOT = Path(__file__).parent.parent


@dataclass
class Installed:
    """The example in a folder of its own, and in processes that find it there."""

    folder: Path
    """The sources; everything is run in it."""
    target: Path

    def python(self, *arguments: str) -> str:
        path = os.pathsep.join([str(self.target), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def manifest(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / run / "run.json").read_text())
        return found


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel as its own build system makes it, unpacked: no index and no network is needed."""
    folder = tmp_path_factory.mktemp("example")
    made = Installed(folder / "plugin", folder / "installed")
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(ROOT / "examples/plugin", made.folder, ignore=ignored)
    made.python("hatchling", "build", "-t", "wheel", "-d", str(folder / "dist"))
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made.target)
    shutil.rmtree(made.folder / "src")  # what is used from here on is what is installed
    return made


def test_its_names_are_listed_with_its_package(example: Installed) -> None:
    for kind, name in (("methods", "offset"), ("rewards", "greenness"), ("measures", "contrast")):
        (line,) = (
            one for one in example.python("hnbench", "list", kind).splitlines() if name in one
        )
        assert "hnbench-example" in line


def test_its_own_tests_pass(example: Installed) -> None:
    assert " passed" in example.python("pytest", "-q", "-p", "no:cacheprovider")


def test_it_is_trained_run_measured_and_reported(example: Installed) -> None:
    example.python("hnbench_example.training", "offset.safetensors", "--steps", "2")
    suite = ["--suite", "geneval-shapes", "--generator", "shapes", "--limit", "2"]
    rewards = ["--optimise", "greenness=1.0", "--hold-out", "redness"]
    method = ["--method", "offset:adapter=offset.safetensors", "--device", "cpu"]
    example.python("hnbench", "run", *suite, *rewards, *method, "--no-report", "--out", "run")
    manifest = example.manifest("run")
    assert manifest["plan"]["labels"] == ["random", "offset"]
    assert manifest["skipped"] == {}
    training = manifest["training"]["offset"]
    assert (training["steps"], training["images"], training["generator_forward"]) == (2, 8, 8)
    assert training["seen_prompts"] == []
    records = read_run(example.folder / "run").records
    assert {record.status for record in records} == {"done"}
    assert {record.label for record in records} == {"random", "offset"}
    example.python("hnbench", "measure", "run", "--measure", "contrast")
    example.python("hnbench", "report", "run")
    report = (example.folder / "run/report/report.md").read_text()
    assert "## Cost of training" in report
    assert "RMS contrast of the grey image" in report
