"""JSON that lies on a disk, decoded by a schema: whatever is in it, the answer is a value of that
type or one line that says why not.

Nesting of any depth, NaN and Infinity, numbers that no float holds, lone surrogates and bytes that
are not UTF-8 are all refused.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from hnbench.files.escaping import printable

T = TypeVar("T")
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""64 hexadecimal digits and nothing else: some are names of files."""
LONGEST = 200
"""Characters of a reason: it may quote what it found."""


class MalformedError(ValueError):
    """What is wrong with some JSON, in one printable line without the place."""


def decode(content: bytes | str, kind: type[T]) -> T:
    """The value that JSON text holds, as `kind` (a `msgspec.Struct`, `dict`, ...). Anything else is
    a `MalformedError`.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise MalformedError(_reason(error)) from error


def as_kind(value: Any, kind: type[T]) -> T:
    """A decoded value as `kind`; `MalformedError` where it is none."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedError(_reason(error)) from error


class NewerSchemaError(MalformedError):
    """What a newer hnbench wrote: not damaged, only not known here."""


class _Versioned(msgspec.Struct):
    schema: Annotated[int, msgspec.Meta(ge=0)] = 0


def check_schema(value: Any, newest: int) -> None:
    """Refuse what a newer hnbench wrote: `NewerSchemaError` where the `schema` of a decoded object
    is above `newest`, `MalformedError` where it is not a number.
    """
    found = as_kind(value, _Versioned).schema
    if found > newest:
        raise NewerSchemaError(
            f"it was written by a newer hnbench (schema {found}, this one reads up to {newest}):"
            " update hnbench"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    text = printable(str(error))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
