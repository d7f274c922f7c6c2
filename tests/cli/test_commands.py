"""The list of commands, and that only the command that is asked for is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hnbench.cli import commands
from hnbench.cli.app import app
from hnbench.cli.commands import SUMMARIES, AllCommands

IMPORTED = """
import sys
from hnbench.cli.app import app
try:
    app({arguments!r}, prog_name="hnbench")
except SystemExit as end:
    assert end.code == 0, end.code
print(*sorted(name for name in sys.modules if name.startswith("hnbench.cli.")), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    """The modules of the command line that a new process has imported after a command."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.removeprefix("hnbench.cli.") for name in done.stderr.splitlines()[-1].split()}


def modules() -> set[str]:
    """The modules of the commands."""
    return {"list_names" if name == "list" else name for name in SUMMARIES}


def test_the_help_imports_no_command() -> None:
    assert not imported("--help") & modules()


def test_a_command_imports_no_other() -> None:
    assert imported("env", "--help") & modules() == {"env"}


def test_every_command_has_examples_and_is_made_once() -> None:
    made = AllCommands()
    assert len(made) == len(SUMMARIES)
    for name, command in made.items():
        assert command.name == name
        assert made.get(name) is command
        assert "Examples:" in (command.epilog or "")
    assert "lst" not in made


def test_the_help_lists_every_command_whole_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_make", lambda name: pytest.fail(f"{name} was made"))
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80).output
    for name, summary in SUMMARIES.items():
        assert f"  {name:<8}  {summary}\n" in shown
