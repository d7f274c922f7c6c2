"""One line of text on stdout or stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hnbench.display.verbosity import is_quiet
from hnbench.files.escaping import printable

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.runs.shards import Shard


def echo(text: str, *, err: bool = False) -> None:
    """Print one line; characters that are not printable are escaped."""
    typer.echo(printable(text), err=err)


def note(text: str) -> None:
    """Print one line on stderr that no result depends on, unless the user wants quiet."""
    if not is_quiet():
        echo(text, err=True)


def show_shard(shard: Shard, missing: str, folder: Path) -> None:
    """Say what other shards have not done yet (`missing`), and how it is computed."""
    note(
        f"{missing}: the last shard to end writes the results. The same command with another"
        f" --shard than {shard}, or with 1/1, computes them in {folder}"
    )
