"""The command line as a whole. Results go to stdout, everything else to stderr.

Exit codes: 0 all is well, 2 wrong usage, 3 some samples failed, 4 a run or training folder cannot
be used, 5 another process of the same work ended, 130 interrupted, 143 terminated. Nothing heavy is
imported before a command needs it.
"""

from __future__ import annotations

import shlex
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from hnbench import __version__
from hnbench.cli.commands import SUMMARIES, AllCommands
from hnbench.cli.common_options import Quiet, Verbose, choose_verbosity
from hnbench.cli.configuration import PREFIX
from hnbench.cli.flags import with_flags
from hnbench.cli.output import echo
from hnbench.cli.parser_messages import explained
from hnbench.cli.streams import prepare
from hnbench.display.verbosity import is_verbose
from hnbench.errors import HnbenchError, StoreError, UsageError
from hnbench.files.escaping import first_line
from hnbench.files.writing import ADVICE
from hnbench.guards.interrupts import exit_code_of, heed_sigterm
from hnbench.guards.out_of_memory import (
    KINDS,
    free_memory,
    hide_in_finalizers,
    is_out_of_memory,
    keep_reserve,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_DEVICE = (
    "end other programs that use the memory, or give another --device; what was written is kept,"
    " and the same command continues"
)
MORE_MEMORY = {
    "run": (
        "give --memory checkpoint-decoder,offload-text, --dtype bfloat16 or a smaller"
        f" --image-size; {OTHER_DEVICE}"
    ),
    "train": (
        "give --memory checkpoint-all,offload-text, or offload-blocks in addition, which changes no"
        " result: the same command with it continues from the state that was saved last. Or start"
        " a new training in another folder, with a smaller --batch-size and more --accumulation, or"
        " a smaller --image-size"
    ),
    "diagnose": (
        "give a smaller --batch-size or --image-size, or --memory checkpoint-all,offload-text;"
        f" {OTHER_DEVICE}"
    ),
}
"""Advice when memory runs out, by command. By then, `run`, `score` and `measure` have halved their
batches down to one image.
"""


BadUsage: type[Exception] = typer.BadParameter.__bases__[0]
"""The base of typer's errors about arguments. It is click's, and typer has no name for it."""


class Commands(TyperGroup):
    """All commands. An error that a user can fix is shown in one or two lines on stderr."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = AllCommands()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, without making the commands."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list of all commands, without making them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments before the command's name."""
        with _explained_usage():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for; an error decides the exit code."""
        try:
            with _explained_usage():
                return super().invoke(ctx)
        except (HnbenchError, ImportError, *KINDS) as error:
            # Lack of memory can hide in any of these, even in a failed import.
            free_memory(error)
            if is_out_of_memory(error):
                echo(
                    f"hnbench: out of memory ({first_line(error)});"
                    f" {MORE_MEMORY.get(ctx.invoked_subcommand, OTHER_DEVICE)}",
                    err=True,
                )
                raise typer.Exit(UsageError.exit_code) from None
            if not isinstance(error, HnbenchError):
                raise
            if is_verbose():
                for line in traceback.format_exception(error):
                    for part in line.splitlines():
                        echo(part, err=True)
            echo(f"hnbench: {with_flags(str(error), self._flags(ctx))}", err=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno not in ADVICE:  # a bug, or the network
                raise
            echo(f"hnbench: {_named(error)}{error.strerror}; {ADVICE[error.errno]}", err=True)
            raise typer.Exit(StoreError.exit_code) from None
        except KeyboardInterrupt as signal:
            echo(
                "hnbench: interrupted; the same command continues:"
                f" {shlex.join(['hnbench', *sys.argv[1:]])}",
                err=True,
            )
            raise typer.Exit(exit_code_of(signal)) from None

    def _flags(self, ctx: Any) -> set[str]:
        """The flags of the command that was asked for."""
        command = self.commands.get(ctx.invoked_subcommand)
        return {flag for option in command.params for flag in option.opts} if command else set()


@contextmanager
def _explained_usage() -> Iterator[None]:
    """Within the block, errors about arguments say what was given and what is expected."""
    try:
        yield
    except BadUsage as error:
        error.message = explained(error)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes longer to import than everything else
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX},
    help=(
        "Compare ways to choose the initial noise of a text-to-image model: random, searched,"
        " optimised, or predicted by a hypernetwork."
    ),
    epilog="Begin with: hnbench run --suite geneval-shapes --limit 12",
)


def main() -> None:
    """The console script."""
    prepare()
    keep_reserve()
    hide_in_finalizers()
    heed_sigterm()
    try:
        app(prog_name="hnbench")
    except HnbenchError as error:  # from printing outside of any command, such as the help
        echo(f"hnbench: {error}", err=True)
        sys.exit(error.exit_code)


def _named(error: OSError) -> str:
    return f"{error.filename}: " if error.filename else ""


def _print_version(asked: bool) -> None:
    if asked:
        echo(f"hnbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            allow_from_autoenv=False,
            help="Print the version and exit.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Options of all commands."""
    choose_verbosity(ctx, quiet=quiet, verbose=verbose)
