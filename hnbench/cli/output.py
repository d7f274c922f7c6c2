"""One line of text on stdout or stderr."""

from __future__ import annotations

import typer

from hnbench.files.escaping import printable


def echo(text: str, *, err: bool = False) -> None:
    """Print one line; characters that are not printable are escaped."""
    typer.echo(printable(text), err=err)
