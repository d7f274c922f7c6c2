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
            metavar="OWNER/NAME", help="The repository on the Hub; created if it does not exist."
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Only people with access can see it.")
    ] = False,
) -> None:
    """Put a trained adapter on the Hugging Face Hub.

    Its model card and configuration go with it. Then `--hypernetwork OWNER/NAME` loads it.
    """
    echo(f"The adapter is at {api.push(folder, name, private=private)}")
