"""`hnbench init`."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hnbench.catalogue.suggestions import suggestion
from hnbench.cli.configuration import options
from hnbench.cli.output import echo
from hnbench.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = (
    "hnbench init run --suite geneval-shapes --limit 24 --out my-run",
    "hnbench init train --file training.toml",
    "hnbench run --config hnbench.toml --seed 1",
)
WIDTH = 88


def init(
    ctx: typer.Context,
    command: Annotated[str, typer.Argument(help="The command to configure.")] = "run",
    file: Annotated[Path, typer.Option("--file", help="The file to write.")] = Path("hnbench.toml"),
) -> None:
    """Write a configuration file for a command, to be given with --config.

    It has all options of the command: those that follow COMMAND with their values, the others as
    comments with their defaults. An existing file is never replaced.
    """
    root = ctx.find_root()
    commands = getattr(root.command, "commands", {})
    if command not in commands:
        raise UsageError(
            f"the command was {command!r}, and it comes before its options, as in hnbench init run"
            f" --limit 24{suggestion(command, commands)}"
        )
    text = "\n".join([f"[{command}]", *_lines(commands[command], command, ctx), ""])
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise UsageError(f"{file} exists already; give another --file") from None
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    echo(f"The configuration is in {file}. To use it:")
    echo(shlex.join(["hnbench", command, "--config", str(file)]))


def _lines(command: Any, name: str, ctx: typer.Context) -> Iterator[str]:
    """The lines of all options. Each value is read as the command itself reads it, so a wrong one
    is refused with the same message.
    """
    asked = type(ctx)(command, info_name=name, parent=ctx.find_root())
    given, rest, _ = command.make_parser(asked).parse_args(list(ctx.args))
    arguments = {one.name for one in command.params if one.param_type_name == "argument"}
    if rest or any(given.get(name) for name in arguments):
        raise UsageError(
            f"{' '.join(ctx.args)!r} has more than options; a file has only options, and arguments"
            " are typed with the command itself"
        )
    with asked:
        for eager in (one for one in command.params if one.is_eager):
            eager.handle_parse_result(asked, given, [])
        for key, option in options(command).items():
            value, source = option.consume_value(asked, given)
            is_default = source is None or source.name == "DEFAULT"
            if not is_default:
                value = option.process_value(asked, value)
            yield from _entry(key, option, value, commented=is_default)


def _entry(key: str, option: Any, value: Any, *, commented: bool) -> Iterator[str]:
    """An empty line, the help, and the assignment."""
    import tomlkit

    yield ""
    yield from textwrap.wrap(option.help or "", WIDTH, initial_indent="# ", subsequent_indent="# ")
    if value is None and not (option.multiple or option.is_flag):
        yield f"# {key} ="
        return
    line = tomlkit.dumps({key: _as_toml(value, option)}).strip()
    yield f"# {line}" if commented else line


def _as_toml(value: Any, option: Any) -> bool | int | float | str | list[str]:
    if option.multiple:
        return [str(one) for one in value or ()]
    if option.is_flag:
        return bool(value)
    return value if isinstance(value, (int, float)) else str(value)
