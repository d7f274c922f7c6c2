"""A call of `hnbench.run` as the command that does the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def command_of(call: Mapping[str, Any]) -> list[str]:
    """The arguments of `hnbench` for a call of `hnbench.run` with these parameters. Parameters that
    are None are left out, and False is for the options that have an opposite.

    >>> command_of({"suite": "parti", "method": ["random", "reno"], "full": True, "limit": None})
    ['run', '--suite=parti', '--method=random', '--method=reno', '--full']
    """
    arguments = ["run"]
    for name, value in call.items():
        arguments += _option(f"--{name.replace('_', '-')}", value)
    return arguments


def _option(flag: str, value: Any) -> list[str]:
    if value is None or (value is False and flag not in _OPPOSITES):
        return []
    if isinstance(value, bool):
        return [flag if value else _OPPOSITES[flag]]
    if isinstance(value, Mapping):
        value = [f"{name}={weight!r}" for name, weight in value.items()]
    several = [value] if isinstance(value, str | Path) or not isinstance(value, Iterable) else value
    # Joined by "=", so that a value may begin with a dash.
    return [f"{flag}={one}" for one in several]


_OPPOSITES = {"--prompt-prefix": "--no-prompt-prefix", "--report": "--no-report"}
