"""Options from a TOML file, and where the value of an option comes from.

The file has a table for each command, such as `[run]`, and in it the command's long options without
their dashes. typer takes them as defaults: the command line and environment variables come first.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hnbench.catalogue.suggestions import suggestion
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "HNBENCH"
"""Environment variables of options are `HNBENCH_COMMAND_OPTION`."""
ALSO = {"plan": "run"}
"""Command -> another one whose table it reads too. What only the other one has is left out."""
NOT_IN_FILES = {"config", "help"}
_FILE = "hnbench.configuration"
"""The key of the file's path in `typer.Context.meta`."""


def read_configuration(ctx: typer.Context, path: Path | None) -> Path | None:
    """The callback of --config: make the file's values the defaults of the command's options.

    Raises `UsageError` for a file that cannot be read, and for unknown tables, keys and types.
    """
    if path is not None and not ctx.resilient_parsing:
        commands = getattr(ctx.find_root().command, "commands", {})
        tables = _tables(path, commands)
        command = str(ctx.info_name)
        found: dict[str, Any] = {}
        if other := ALSO.get(command):
            theirs = _values(path, other, tables.get(other, {}), options(commands[other]))
            own = {option.name for option in options(ctx.command).values()}
            found = {name: value for name, value in theirs.items() if name in own}
        found |= _values(path, command, tables.get(command, {}), options(ctx.command))
        ctx.default_map = found
        ctx.meta[_FILE] = path
    return path


def options(command: Any) -> dict[str, Any]:
    """The options of a command that a file can have, by key: the long option without its dashes."""
    return {
        long.removeprefix("--"): parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name not in NOT_IN_FILES
        for long in [flag for flag in parameter.opts if flag.startswith("--")][:1]
    }


def variable_of(ctx: typer.Context, parameter: Any) -> str:
    """The environment variable of an option."""
    return f"{ctx.auto_envvar_prefix}_{parameter.name}".upper()


def source_of(ctx: typer.Context, parameter: Any) -> str:
    """The environment variable or the file that gave the value; empty for the command line and for
    the option's own default.
    """
    source = ctx.get_parameter_source(parameter.name)
    if source is None or source.name not in ("ENVIRONMENT", "DEFAULT_MAP"):
        return ""
    if source.name == "ENVIRONMENT":
        return f"the environment variable {variable_of(ctx, parameter)}"
    return str(ctx.meta[_FILE])


def _tables(path: Path, commands: Mapping[str, Any]) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"the configuration {path} cannot be read ({reason}); `hnbench init` writes one"
        ) from error
    for name, table in tables.items():
        if name not in commands:
            raise UsageError(
                f"{path} has {name!r} at the top, where each table is named after a command"
                f"{suggestion(name, commands)}"
            )
        if not isinstance(table, dict):
            raise UsageError(f"{name!r} in {path} was {table!r}; write a table, [{name}]")
    return tables


def _values(
    path: Path, command: str, table: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of one table by parameter, as the command line would have them: as texts."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in known:
            raise UsageError(
                f"the table [{command}] of {path} has the unknown key {key!r}"
                f"{suggestion(name, known)}"
            )
        option = known[name]
        if option.name in found:
            raise UsageError(f"the table [{command}] of {path} has {name!r} twice; leave one out")
        found[option.name] = _as_typed(f"{key!r} in [{command}] of {path}", value, option)
    return found


def _as_typed(where: str, value: Any, option: Any) -> Any:
    if option.is_flag:
        fits, expected = isinstance(value, bool), "true or false"
    elif option.multiple:
        value = [value] if _is_scalar(value) else value
        fits, expected = isinstance(value, list) and all(map(_is_scalar, value)), 'a list, ["..."]'
    else:
        fits, expected = _is_scalar(value), "a text or a number"
    if not fits:
        raise UsageError(f"{where} was {value!r}; write {expected}")
    if option.is_flag:
        return value
    return [str(one) for one in value] if option.multiple else str(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
