"""Suites and methods from the text that a user types.

A suite is `NAME`, `NAME:PART`, `NAME:KEY=VALUE` or a prompt file's path; a method is `NAME` or
`NAME:KEY=VALUE,KEY=VALUE`, and `LABEL=` before it names its row.
"""

from __future__ import annotations

import re
import types
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from hnbench.catalogue import registry
from hnbench.catalogue.builtin import PROMPT_FILES
from hnbench.catalogue.suggestions import suggestion
from hnbench.errors import UsageError
from hnbench.files.escaping import printable
from hnbench.files.prompt_files import is_prompt_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.catalogue.entries import SuiteEntry
    from hnbench.methods.base import Method
    from hnbench.suites.base import Suite

BASE = "random"
"""The method that all others are compared with."""
LONGEST_LABEL = 40
"""The most characters of a label that a user gives."""
_OF_A_METHOD = re.compile(r"best-of-\d+")


def find_suite(specification: str) -> tuple[SuiteEntry, dict[str, Any]]:
    """The entry of `"name"`, `"name:part"`, `"name:part,key=value"` or a prompt file's path, and
    what its factory is to be given.
    """
    name, colon, listed = specification.partition(":")
    if name not in registry.SUITES.entries and is_prompt_file(specification):
        return PROMPT_FILES, {"path": Path(specification)}
    entry = registry.SUITES.entry(name)
    given: dict[str, Any] = {}
    for item in listed.split(",") if colon else ():
        key, equals, value = (text.strip() for text in item.partition("="))
        if not equals:
            key, value = "part", key
        if key == "part" and value not in entry.parts:
            raise UsageError(
                f"the suite {name!r} has no part {value!r}{suggestion(value, entry.parts)}"
            )
        if key != "part" and key not in entry.options:
            raise UsageError(
                f"the suite {name!r} has no option {key!r}{suggestion(key, entry.options)}"
            )
        if key in given or not value:
            raise UsageError(f"suite {specification!r}: give {key} once, and a value with it")
        given[key] = value
    return entry, given


def is_file(specification: str) -> bool:
    """Whether a suite's specification is the path of a prompt file."""
    return find_suite(specification)[0] is PROMPT_FILES


def make_suite(specification: str) -> Suite:
    """The suite of a specification; see `find_suite`."""
    entry, given = find_suite(specification)
    suite: Suite = entry.load()(**given)
    return suite


def make_protocol(specification: str) -> Suite | None:
    """The suite of a specification with the published numbers of prompts, whose texts are empty, so
    that no file is read. None if the suite has no such form.
    """
    entry, given = find_suite(specification)
    if not entry.protocol:
        return None
    suite: Suite = replace(entry, target=entry.protocol).load()(**given)
    return suite


def parse_method(specification: str) -> tuple[str, dict[str, str]]:
    """Split `"name"` or `"name:key=value,key=value"` into the name and the values as typed. A label
    before it is left out.

    >>> parse_method("reno:iterations=5, learning_rate=0.1")
    ('reno', {'iterations': '5', 'learning_rate': '0.1'})
    """
    head, colon, listed = specification.partition(":")
    name = head.rpartition("=")[2]
    values: dict[str, str] = {}
    for part in listed.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise UsageError(
                f"method {specification!r}: {part!r} is not key=value; type for example"
                " reno:iterations=20"
            )
        if key.strip() in values:
            raise UsageError(f"method {specification!r} gives {key.strip()} twice")
        values[key.strip()] = value.strip()
    return name.strip(), values


def given_label(specification: str) -> str | None:
    """The label that the user gives a method's row; None without one. `UsageError` for one that
    cannot be used.

    >>> given_label("quick ReNO=reno:iterations=20")
    'quick ReNO'
    >>> given_label("reno:iterations=20")
    """
    label, equals, _ = specification.partition(":")[0].rpartition("=")
    if not equals:
        return None
    label = label.strip()
    if not (0 < len(label) <= LONGEST_LABEL and label.isprintable()) or set(label) & set("=/\\"):
        raise UsageError(
            f"the name of the row in {specification!r} cannot be used; give 1 to {LONGEST_LABEL}"
            " printable characters without : = / and \\, for example"
            " 'quick ReNO=reno:iterations=20'"
        )
    if label in registry.METHODS.entries or _OF_A_METHOD.fullmatch(label):
        raise UsageError(
            f"{label!r} is the name of a method's own row; give another name in {specification!r}"
        )
    if parse_method(specification)[0] == BASE:
        raise UsageError(f"the row of the base is always named {BASE}; leave out `{label}=`")
    return label


def make_method(specification: str, defaults: Mapping[str, Any] | None = None) -> Method:
    """The method of a specification. `defaults` are parameters (already typed) that the
    specification does not give.
    """
    name, typed = parse_method(specification)
    factory: Any = registry.METHODS.get(name)
    if not (isinstance(factory, type) and is_dataclass(factory)):
        raise UsageError(
            f"the method {name!r} cannot be made: {_name_of(factory)} is not a dataclass. Its"
            " fields would be the method's parameters; its package must put @dataclass on it"
        )
    parameters: dict[str, Any] = dict(defaults or {}) | _convert(name, factory, typed)
    missing = [
        item.name
        for item in fields(factory)
        if item.default is MISSING and item.default_factory is MISSING and item.init
    ]
    for key in missing:
        if key not in parameters:
            raise UsageError(f"method {name!r} needs {key}; type {name}:{key}=VALUE")
    method: Any = factory(**parameters)
    return method  # type: ignore[no-any-return]


def _name_of(factory: Any) -> str:
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    return printable(f"{getattr(factory, '__module__', '')}.{name}")


def _convert(name: str, factory: Any, typed: Mapping[str, str]) -> dict[str, Any]:
    """The typed values, as the types that the factory's fields are annotated with."""
    known = {item.name for item in fields(factory) if item.init}
    hints = get_type_hints(factory)
    values = {}
    for key, text in typed.items():
        if key not in known:
            raise UsageError(f"method {name!r} has no parameter {key!r}{suggestion(key, known)}")
        try:
            values[key] = _value(text, hints[key])
        except ValueError as error:
            raise UsageError(
                f"method {name!r}: {key} was {text!r}; it must be {_describe(hints[key])}"
            ) from error
    return values


def _value(text: str, annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        if type(None) in get_args(annotation) and text.lower() == "none":
            return None
        return _value(text, next(kind for kind in get_args(annotation) if kind is not type(None)))
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return annotation(text)


def _describe(annotation: Any) -> str:
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_describe(kind) for kind in get_args(annotation))
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        type(None): "none",
    }.get(annotation, "text")
