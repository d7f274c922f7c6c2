"""What `import hnbench` offers, and that its functions take what the commands take."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer

import hnbench
from hnbench.cli.app import app

COMMANDS = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
FUNCTIONS = [
    "run",
    "plan",
    "generate",
    "train",
    "report",
    "compare",
    "score",
    "measure",
    "merge",
    "pack",
    "export",
    "diagnose",
    "push",
    "fetch",
    "verify",
    "view",
]
SHOWN = {
    "run": {"report"},
    "generate": {"show"},
    "verify": {"list", "explain"},
    "train": {"dry_run"},
    "push": {"dry_run"},
}
"""Options that say what a command prints."""
COMMON = {"json", "quiet", "verbose", "config"}
"""Options of the terminal, which commands share."""
OF_THE_LIBRARY = {"progress", "before"}
"""Parameters that say what is shown meanwhile."""


def options_of(command: str) -> set[str]:
    found = set()
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "argument":
            found.add(parameter.name)
        elif parameter.name != "help":
            found.add(parameter.opts[0].removeprefix("--").replace("-", "_"))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_its_command_takes(name: str) -> None:
    parameters = set(inspect.signature(getattr(hnbench, name)).parameters)
    assert parameters - OF_THE_LIBRARY == options_of(name) - COMMON - SHOWN.get(name, set())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_defaults_of_its_command(name: str) -> None:
    signature = inspect.signature(getattr(hnbench, name)).parameters
    for parameter in COMMANDS[name].params:
        own = parameter.opts[0].removeprefix("--").replace("-", "_")
        if own in signature and not parameter.required:
            default = parameter.default() if callable(parameter.default) else parameter.default
            assert signature[own].default == default, own


def test_all_commands_but_those_that_only_print_have_a_function() -> None:
    assert set(COMMANDS) - set(FUNCTIONS) == {"list", "env", "init"}


def test_all_is_what_is_there() -> None:
    assert hnbench.__all__ == sorted(hnbench.__all__)
    assert {name for name in hnbench.__all__ if not hasattr(hnbench, name)} == set()
    assert set(hnbench.__all__) == {"__version__", *hnbench._HOME_OF}


def test_types_see_what_is_imported() -> None:
    """The imports for type checkers name the same things from the same places."""
    tree = ast.parse(Path(hnbench.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: str(node.module).removeprefix("hnbench.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == hnbench._HOME_OF


def test_no_name_is_also_a_room() -> None:
    package = Path(hnbench.__file__).parent
    rooms = {path.stem for path in package.iterdir() if path.suffix in ("", ".py")}
    assert rooms & set(hnbench.__all__) == set()


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="'hnbench' has no attribute 'runn'"):
        hnbench.runn  # noqa: B018


@pytest.mark.parametrize(
    "name", [*FUNCTIONS, "load_hypernetwork", "load_run", "plan_push", "plan_training"]
)
def test_every_function_has_hints_and_says_what_it_raises(name: str) -> None:
    function = getattr(hnbench, name)
    assert "return" in function.__annotations__
    assert "`StoreError`" in function.__doc__ or "`UsageError`" in function.__doc__


def test_the_door_opens_without_torch() -> None:
    code = (
        "import sys, hnbench; hnbench.run, hnbench.report, hnbench.UsageError, dir(hnbench);"
        " print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_the_contracts_are_those_of_the_rooms() -> None:
    from hnbench.methods.base import Method

    assert hnbench.Method is Method
    assert typing.get_type_hints(hnbench.Outcome)["label"] is str
