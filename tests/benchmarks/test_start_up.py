"""The benchmark of start-up: a command that fails is not timed."""

from __future__ import annotations

import subprocess

import pytest

from benchmarks.start_up import COMMANDS, seconds


def test_a_command_that_fails_has_no_time() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        seconds(("-c", "raise SystemExit(1)"))


def test_python_alone_is_faster_than_the_help() -> None:
    assert 0 < seconds(COMMANDS["python"]) < seconds(COMMANDS["help"])
