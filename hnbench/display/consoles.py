"""The consoles for output. Everything is shown as plain text: no markup, no control characters."""

from __future__ import annotations

import shutil
import sys

from rich.console import Console
from rich.text import Text

from hnbench.files.escaping import printable

WIDTH = 140
"""The width of output in columns, if there is no terminal."""


def stderr() -> Console:
    """The console for progress and notes."""
    return Console(stderr=True)


def stdout() -> Console:
    """The console for results: a terminal has its own width, a file or a pipe has `WIDTH`."""
    # Rich takes a terminal that is called "dumb" to have 80 columns.
    return Console(width=shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH)


def plain(text: str) -> Text:
    """A text without markup and control characters."""
    return Text(printable(text))


def say(console: Console, text: str) -> None:
    """Print one line of plain text; the terminal wraps it, so that a copied line is whole."""
    console.print(plain(text), soft_wrap=True)
