"""`hnbench push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli.output import echo
from hnbench.cli.printing import show_push

EXAMPLES = (
    "hnbench push results/my-training/adapter owner/name",
    "hnbench push adapter owner/name --private",
    "hnbench push adapter owner/name --dry-run",
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
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="List what would be uploaded and overwritten. This needs no token."
        ),
    ] = False,
) -> None:
    """Put a trained adapter on the Hugging Face Hub.

    Its model card and configuration go with it. Then `--hypernetwork OWNER/NAME` loads it.
    """
    if dry_run:
        show_push(api.plan_push(folder, name))
        return
    echo(f"The adapter is at {api.push(folder, name, private=private)}")
