"""The options that every command has: --quiet, --verbose and --config."""

from __future__ import annotations

import inspect
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hnbench.cli.configuration import options, read_configuration, source_of
from hnbench.display.screen import Screen
from hnbench.display.verbosity import is_verbose, verbosity
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show only results and errors: no progress, no notes."),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Also show versions, options, caches, times and the tracebacks of errors.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        is_eager=True,
        callback=read_configuration,
        help=(
            "A TOML file with options, as `hnbench init` writes it; docs/configuration.md has the"
            " environment variables."
        ),
    ),
]


def with_common_options(
    command: Callable[..., None], *, configured: bool = True
) -> Callable[..., None]:
    """The command with the options that every command has; without --config unless `configured`."""

    def whole(
        ctx: typer.Context,
        *,
        quiet: bool,
        verbose: bool,
        config: Path | None = None,
        **asked: Any,
    ) -> None:
        del config  # its callback has read it
        choose_verbosity(ctx, quiet=quiet, verbose=verbose)
        with _details(ctx):
            command(**({"ctx": ctx} if "ctx" in own else {}), **asked)

    own = inspect.signature(command, eval_str=True).parameters
    shared = [
        inspect.Parameter("quiet", _KEYWORD, default=False, annotation=Quiet),
        inspect.Parameter("verbose", _KEYWORD, default=False, annotation=Verbose),
        inspect.Parameter("ctx", _KEYWORD, annotation=typer.Context),
    ]
    if configured:
        shared.insert(0, inspect.Parameter("config", _KEYWORD, default=None, annotation=ConfigFile))
    parameters = [
        *(one.replace(kind=_KEYWORD) for one in own.values() if one.name != "ctx"),
        *shared,
    ]
    # Where typer looks for a command's options, name and help.
    whole.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    whole.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    whole.__name__, whole.__doc__ = command.__name__, command.__doc__
    return whole


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def choose_verbosity(ctx: typer.Context, *, quiet: bool, verbose: bool) -> None:
    """Show less or more until the whole command line has ended."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose were both given; leave one of them out")
    if quiet or verbose:
        ctx.find_root().with_resource(verbosity("quiet" if quiet else "verbose"))


@contextmanager
def _details(ctx: typer.Context) -> Iterator[None]:
    """Within the block a command runs. If details are wanted, show its options, its surroundings
    and its time.
    """
    if not is_verbose():
        yield
        return
    screen = Screen(shown=True)
    for line in _surroundings(ctx):
        screen.note(line)
    began = time.monotonic()
    try:
        yield
    finally:
        screen.note(f"{ctx.command_path} took {time.monotonic() - began:.1f} s")


def _surroundings(ctx: typer.Context) -> Iterator[str]:
    """The effective options with their sources; then versions, device and caches, if the command
    has a device.
    """
    for name, option in options(ctx.command).items():
        value, source = ctx.params[option.name], source_of(ctx, option)
        yield f"{name} = {_in_words(value)}" + (f" (from {source})" if source else "")
    if "device" in ctx.params:
        from hnbench.catalogue.loading import choose_device
        from hnbench.runs.surroundings import surroundings

        for name, value in surroundings(choose_device(ctx.params["device"])).items():
            if name != "verified":
                yield f"{name}: {_in_words(value)}"


def _in_words(value: Any) -> str:
    """A value for people: lists and mappings without brackets and quotes."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_in_words, value)) or "none"
    return "none" if value is None else str(value)
