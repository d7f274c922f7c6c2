"""What SECURITY.md promises, where no other test file has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hnbench

ROOT = Path(__file__).parents[1]
SOURCES = sorted(Path(hnbench.__file__).parent.rglob("*.py"))
FORBIDDEN = [
    r"""trust_remote_code["']?\s*[=:](?!\s*False)""",
    r"pickle\.(load|loads|Unpickler)\b",
    r"(?<![.\w])(eval|exec)\(",
    r"os\.system|shell=True",
    r"""weights_only["']?\s*[=:](?!\s*True)""",
]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_runs_code_of_others(pattern: str) -> None:
    found = [
        f"{path.name}: {line}"
        for path in SOURCES
        for line in path.read_text("utf-8").splitlines()
        if re.search(pattern, line)
    ]
    assert not found


def test_every_torch_load_is_of_weights_only() -> None:
    calls = [
        call
        for path in SOURCES
        for call in re.findall(r"torch\.load\([^\n]*", path.read_text("utf-8"))
    ]
    assert calls
    assert all("weights_only=True" in call for call in calls)


def test_every_promise_names_tests_that_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).exists()]
