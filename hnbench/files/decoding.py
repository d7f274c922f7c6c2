"""JSON from files, decoded by a schema: the result is a value of the schema's type, or one line
that says why not.

Too deep nesting, NaN and Infinity, numbers that no float holds, lone surrogates and bytes that are
not UTF-8 are all refused.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from hnbench.files.escaping import printable

T = TypeVar("T")
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""Exactly 64 hexadecimal digits. The pattern is strict because some are used as file names."""
LONGEST = 200
"""The largest number of characters of a reason, which may quote the file."""


class MalformedError(ValueError):
    """The fault of some JSON, in one printable line without the place."""


def decode(content: bytes | str, kind: type[T]) -> T:
    """The value of a JSON text, as `kind` (a `msgspec.Struct`, `dict`, ...). Any other text is a
    `MalformedError`.
    """
    return decoded(content, msgspec.json.Decoder(kind))


def decoded(content: bytes | str, decoder: msgspec.json.Decoder[T]) -> T:
    """The value of a JSON text, by the decoder of a kind. Any other text is a `MalformedError`."""
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise MalformedError(_reason(error)) from error


def as_kind(value: Any, kind: type[T]) -> T:
    """A decoded value, as `kind`. A value that does not fit is a `MalformedError`."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedError(_reason(error)) from error


class NewerSchemaError(MalformedError):
    """A newer hnbench wrote this: it is not damaged, but unknown here."""


class _Versioned(msgspec.Struct):
    schema: Annotated[int, msgspec.Meta(ge=0)] = 0


def check_schema(value: Any, newest: int) -> None:
    """Refuse files of a newer hnbench: `NewerSchemaError` if the `schema` of a decoded object is
    above `newest`, `MalformedError` if it is not a number.
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
