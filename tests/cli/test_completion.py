"""Completion of names, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hnbench.cli.completion import methods, runs
from tests.cli.conftest import Hnbench
from tests.toy_plugins import toy_registries

ROOT = Path(__file__).parents[2]
AS_A_SHELL = """
import sys
from hnbench.cli.app import main
sys.argv = ["hnbench"]
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


def completed(line: str, folder: Path) -> list[str]:
    words = line.split(" ")
    variables = {
        "_HNBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", AS_A_SHELL],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **variables},
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hnbench me", {"merge", "measure"}),
        ("hnbench run --method hyper", {"hypernoise"}),
        ("hnbench run --suite geneval-s", {"geneval-shapes"}),
        ("hnbench report res", {"results/my-run"}),
        ("hnbench run --full --no-r", {"--no-report"}),
        ("hnbench list gen", {"generators"}),
    ],
)
def test_a_shell_completes_without_torch(line: str, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "results/my-run").mkdir(parents=True)
    (tmp_path / "results/my-run/run.json").touch()
    (tmp_path / "results/other").mkdir()
    found = set(completed(line, tmp_path))
    assert expected <= found
    last = line.rsplit(" ", maxsplit=1)[-1]
    assert all(name.startswith(last) for name in found)


def test_names_of_packages_are_completed_too(hnbench: Hnbench) -> None:
    assert hnbench("list", "methods").exit_code == 0  # the toys are registered
    assert methods("") == list(toy_registries()["METHODS"].entries)
    assert methods("fa") == ["failing"]


def test_runs_below_a_typed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("results/a", "elsewhere/b", "elsewhere/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    assert runs("") == ["results/a"]
    assert runs("elsewhere/") == ["elsewhere/b", "elsewhere/c"]
    assert runs("elsewhere/c") == ["elsewhere/c"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(
    hnbench: Hnbench, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    result = hnbench("--show-completion", shell)
    assert result.exit_code == 0
    assert "_HNBENCH_COMPLETE" in result.stdout
