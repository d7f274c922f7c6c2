"""Where text is shown. Whatever is shown is text: no markup of rich, no control characters."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from hnbench.files.escaping import printable

WIDTH = 140
"""Columns of what is printed where there is no terminal to ask."""


def stderr() -> Console:
    """The console for progress and notes."""
    return Console(stderr=True)


def stdout() -> Console:
    """A terminal as wide as it is; a file or a pipe wide enough for every table."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def say(console: Console, text: str) -> None:
    """Print one line; a terminal wraps it."""
    console.print(Text(printable(text)), soft_wrap=True)
