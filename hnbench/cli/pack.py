"""`hnbench pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import filesize

import hnbench as api
from hnbench.cli.output import echo

EXAMPLES = (
    "hnbench pack results/my-run",
    "hnbench pack results/seed0 results/seed1 results/seed2",
    "hnbench pack results/my-run --undo",
)


def pack(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    undo: Annotated[
        bool, typer.Option("--undo", help="Make the plain journals again, byte for byte.")
    ] = False,
) -> None:
    """Make the records of finished runs small enough to keep.

    Each journal becomes one compressed file with the same records. All commands read it as before,
    and `hnbench run` continues the run. Images are left alone. An interrupted packing is completed
    by the same command.
    """
    for found in api.pack(runs, undo=undo):
        each = f", {found.after / found.records:.0f} bytes a record" if found.records else ""
        echo(
            f"{found.folder} has {found.records} records in {filesize.decimal(found.after)}, before"
            f" {filesize.decimal(found.before)}{each}"
        )
