"""`hnbench push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli.output import echo

EXAMPLES = (
    "hnbench push results/my-training/adapter owner/name",
    "hnbench push adapter owner/name --private",
)


def push(
    folder: Annotated[Path, typer.Argument(help="A trained adapter's folder.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="OWNER/NAME", help="The repository of the Hub; made where there is none."
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Only for those who are given access.")
    ] = False,
) -> None:
    """Put a trained adapter on the Hugging Face Hub.

    With its model card and its configuration; then `--hypernetwork OWNER/NAME` takes it from there.
    """
    echo(f"The adapter is at {api.push(folder, name, private=private)}")
