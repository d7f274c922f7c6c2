"""`hnbench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import hnbench as api
from hnbench.cli import completion
from hnbench.cli.options import Labels, PartialChoice
from hnbench.cli.output import echo

EXAMPLES = (
    "hnbench export results/my-run --layout geneval --out exported",
    "hnbench export results/my-run --layout t2i-compbench --out exported --label random",
)


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", autocompletion=completion.runs, help="A run's folder.")
    ],
    layout: Annotated[
        Literal["geneval", "t2i-compbench"],
        typer.Option("--layout", help="The project whose scripts will read the images."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder for the labels' folders.")],
    label: Labels = None,
    partial: PartialChoice = False,
) -> None:
    """Write a run's images in the layout that another project's scripts read.

    The images are the run's files, checked by SHA-256. The same command again adds what is missing.
    """
    found = api.export(run, layout=layout, out=out, label=label, partial=partial)
    if not found.inventory.complete:
        echo(f"PARTIAL: {found.inventory.described()}")
    for name, place in found.folders.items():
        echo(f"{name}: {place}")
