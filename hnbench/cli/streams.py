"""Standard output and standard error in any state: any encoding, closed, or on a full disk.

A character that the encoding lacks is replaced by a readable one. A closed stream drops everything.
If standard output cannot be written, that is one clear error; a message on standard error that
cannot be written never ends the work.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

from hnbench.errors import StoreError

READABLE = {
    "Δ": "D",
    "≈": "~",
    "±": "+-",
    "√": "sqrt",
    "∞": "inf",
    "→": "->",
    "←": "<-",
    "×": "x",
    "·": ".",
    "½": "1/2",
    "‖": "||",
    "≤": "<=",
    "≥": ">=",
    "–": "-",
    "—": "-",
    "‐": "-",
    "−": "-",
    "…": "...",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "•": "*",
    "⚠": "!",
    "\N{NO-BREAK SPACE}": " ",
    **dict.fromkeys("─━╌╍═╸╺", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛╭╮╰╯╡╞╪", "+"),
}
"""Replacements of characters that an encoding may lack. Any other such character is written as its
escape, such as `\\u65e5`.
"""

_HANDLER = "hnbench-readable"


def readable(text: str) -> str:
    """The text with every character replaced: by its replacement, or else by its escape."""
    return "".join(
        READABLE.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in text
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return readable(error.object[error.start : error.end]), error.end


class Output(io.TextIOWrapper):
    """Standard output. A failed write is a `StoreError`, once; a `BrokenPipeError` (the reader is
    gone) stays one.
    """

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise self._given_up(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise self._given_up(error) from error

    def _given_up(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        # Otherwise the flush at the interpreter's exit would fail again.
        _discard(self)
        return StoreError(
            f"standard output cannot be written ({error.strerror or error}); what a command saves"
            " in files is not touched"
        )


class Messages(io.TextIOWrapper):
    """Standard error. A message that cannot be written is dropped, and the work goes on."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            _discard(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _discard(self)


def prepare() -> None:
    """Replace the standard streams of this process by ones that take everything printed. Once is
    enough. Streams that something else replaced before, such as a test, are left alone.
    """
    codecs.register_error(_HANDLER, _replace)
    _fill_closed()
    sys.stdout = _opened(sys.stdout, Output)
    sys.stderr = _opened(sys.stderr, Messages)


def _fill_closed() -> None:
    """Open the null device in place of closed descriptors 0 to 2. Otherwise the next file that is
    opened would get such a number, and what is printed would go into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _opened(stream: object, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    if stream is None:
        return kind(open(os.devnull, "wb"), encoding="utf-8")  # noqa: PTH123
    if type(stream) is not io.TextIOWrapper:
        return stream  # type: ignore[return-value]
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        errors=_HANDLER,
        line_buffering=stream.line_buffering,
    )


def _discard(stream: io.TextIOWrapper) -> None:
    """Send the rest of the stream's buffer, and everything after it, to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
