"""The commands of `hnbench`. A command's module is imported when the command is asked for, so that
the help and each command start without those of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand

from hnbench.cli.common_options import with_common_options

SUMMARIES = {
    "run": "Run methods on a suite and compare them.",
    "plan": "Print what a run will take, before it begins.",
    "generate": "Make images of prompts by several methods.",
    "train": "Train a noise hypernetwork, or fine-tune the generator.",
    "merge": "Merge the folders of one run from several machines.",
    "pack": "Make the records of finished runs small.",
    "report": "Write and print the report of a run.",
    "compare": "Compare runs of one suite that differ in anything.",
    "view": "Show the report of a run in a browser.",
    "score": "Judge images that lie in a folder.",
    "measure": "Measure existing images: diversity, fidelity and more.",
    "export": "Write a run's images in another project's layout.",
    "diagnose": "Look at what a hypernetwork does to noise.",
    "push": "Put a trained adapter on the Hugging Face Hub.",
    "list": "List generators, rewards, methods, suites and more.",
    "fetch": "Download what a run will need.",
    "verify": "Check this installation against published numbers.",
    "env": "Print versions, device and cache, for bug reports.",
    "init": "Write a configuration file for a command.",
}
"""Name -> one line for the list of all commands, in the order of that list. A line is at most 57
characters long, so that it is whole in a terminal of 80 columns.
"""
_MODULES = {"list": "list_names"}
"""Name -> module and function, where they differ from the name."""


class Command(TyperCommand):
    """One command. Its help leaves out the names of the environment variables, which follow one
    rule (docs/configuration.md).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            parameter.show_envvar = False  # type: ignore[attr-defined]


class AllCommands(Mapping[str, Command]):
    """Name -> command. Each is made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in SUMMARIES:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = _make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


def _make(name: str) -> Command:
    source = _MODULES.get(name, name)
    module = import_module(f"hnbench.cli.{source}")
    # `init` passes the options of another command on, --config among them.
    passes = name == "init"
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(
        name,
        cls=Command,
        epilog=_examples(*module.EXAMPLES),
        context_settings={"allow_extra_args": passes, "ignore_unknown_options": passes},
    )(with_common_options(getattr(module, source), configured=not passes))
    return cast("Command", typer.main.get_command(alone))


def _examples(*commands: str) -> str:
    """An epilog: one command per line, not wrapped."""
    # \b keeps click from wrapping the lines that follow
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
