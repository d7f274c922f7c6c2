"""Standard output and standard error as they are found: in any encoding, closed, or full.

A character that the encoding lacks is replaced by one that can be read. A stream that is closed
takes everything. Standard output that cannot be written is one clear error; a message on standard
error that cannot be written never ends the work.
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
"""What stands for a character where the encoding does not have it. Any other is written as its
escape, such as `\\u65e5`.
"""

_HANDLER = "hnbench-readable"


def readable(text: str) -> str:
    """Every character by its replacement, or else as an escape."""
    return "".join(
        READABLE.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in text
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return readable(error.object[error.start : error.end]), error.end


class Output(io.TextIOWrapper):
    """Standard output: what cannot be written is a `StoreError`, once; a reader that left stays a
    `BrokenPipeError`.
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
        _discard(self)
        return StoreError(
            f"standard output cannot be written ({error.strerror or error}); what a command saves"
            " in files is not touched"
        )


class Messages(io.TextIOWrapper):
    """Standard error: a message that cannot be written is lost, and nothing else."""

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
    """Make the standard streams of this process take whatever is printed. Once is enough; streams
    of others, as tests set, are left.
    """
    codecs.register_error(_HANDLER, _replace)
    _fill_closed()
    sys.stdout = _opened(sys.stdout, Output)
    sys.stderr = _opened(sys.stderr, Messages)


def _fill_closed() -> None:
    """Open the null device in place of descriptors 0 to 2 that are closed, so that no file of a run
    is taken for a standard stream.
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
    """Send what the stream still holds, and all that follows, to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
