"""The command line that a run's sessions are recorded with."""

from __future__ import annotations

import sys

import pytest

from hnbench.runs.sessions import session_of
from hnbench.runs.shards import Shard
from tests.runs.world import CONFIG


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/usr/bin/hnbench", "hnbench"),
        ("/usr/lib/python3/hnbench/__main__.py", "hnbench"),
        ("my_script.py", "my_script.py"),
        ("", ""),
    ],
)
def test_the_command_line_begins_with_the_program_s_name(
    monkeypatch: pytest.MonkeyPatch, program: str, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "run", "--limit", "3"])
    session = session_of(CONFIG, {"device": "a CPU"}, Shard(1, 1))
    assert session["argv"] == [name, "run", "--limit", "3"]
