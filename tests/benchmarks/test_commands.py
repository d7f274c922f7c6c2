"""The commands that benchmarks document: as modules, because they import each other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [
    *(ROOT / "benchmarks").glob("*.py"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "noxfile.py")),
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_benchmarks_are_started_as_modules_that_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"python\d?(?:\s+-[^m]\S*)*\s+benchmarks[/\\]\S+", text) == []
    for name in re.findall(r"python -m benchmarks\.(\w+)", text):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()


def test_the_published_operations_start_as_documented() -> None:
    command = [sys.executable, "-m", "benchmarks.published_operations", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--write" in done.stdout
