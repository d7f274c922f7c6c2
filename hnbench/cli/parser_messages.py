"""Messages about arguments: what was given, what is expected, and where the value came from."""

from __future__ import annotations

import re
from typing import Any

from hnbench.catalogue.suggestions import suggestion
from hnbench.cli.configuration import source_of
from hnbench.files.escaping import printable

_CHOICE = re.compile(
    r"^(?:Value error, )?'(?P<given>.*)' is not one of (?P<known>'.*')\.?$", re.DOTALL
)
_EXPECTED = {
    "int_parsing": "a whole number, such as 8",
    "int_from_float": "a whole number, such as 8",
    "float_parsing": "a number, such as 0.5",
    "bool_parsing": "true or false",
}
"""The kind of a validation error -> the value that is expected."""


def explained(error: Any) -> str:
    """The message of an error about arguments. It is printable: an argument may be a file name that
    somebody else chose, as in `hnbench report *`.
    """
    message = _with_choices(str(error.message)) or _with_type(error) or str(error.message)
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    source = source_of(context, parameter) if parameter is not None and context else ""
    return printable(f"{message} (from {source})" if source else message)


def _with_choices(message: str) -> str:
    found = _CHOICE.match(message)
    if not found:
        return ""
    known = re.findall(r"'([^']*)'", found["known"])
    return f"{found['given']!r} is unknown{suggestion(found['given'], known)}"


def _with_type(error: Any) -> str:
    """The message about a value of another type or outside of its range; empty for other errors."""
    problems = getattr(error.__cause__, "errors", None)
    if problems is None:
        return ""
    first = problems()[0]
    given, kind, limits = first["input"], first["type"], first.get("ctx", {})
    if expected := _EXPECTED.get(kind):
        return f"{given!r} was given; type {expected}"
    bounds = [
        f"at {word} {limits[name]}"
        for name, word in (("ge", "least"), ("le", "most"))
        if name in limits
    ]
    return f"{given} was given; it must be {' and '.join(bounds)}" if bounds else ""
