"""`hnbench measure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli import completion
from hnbench.cli.json_output import AsJson, print_json, rows
from hnbench.cli.options import (
    DeviceName,
    ImagesAtATime,
    Labels,
    MeasureNames,
    PartialChoice,
    QuickChoice,
    ShardName,
)
from hnbench.cli.output import note, show_shard
from hnbench.cli.printing import show_scores

EXAMPLES = (
    "hnbench measure results/my-run",
    "hnbench measure results/my-run --measure lpips --measure cmmd --label reno --device cuda",
    "hnbench measure images --suite geneval --measure dino-similarity",
    "hnbench measure results/my-run --measure vqascore@OWNER/NAME",
    "hnbench measure results/my-run --shard 2/3",
)


def measure(
    folder: Annotated[
        Path,
        typer.Argument(
            autocompletion=completion.runs,
            help="A run, or images in a layout that `hnbench score` reads.",
        ),
    ],
    measure: MeasureNames = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            autocompletion=completion.suites,
            metavar="NAME[:PART]",
            help="The suite whose prompts the images show. [default: the run's]",
        ),
    ] = None,
    quick: QuickChoice = False,
    partial: PartialChoice = False,
    label: Labels = None,
    batch_size: ImagesAtATime = "auto",
    device: DeviceName = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder for the values. [default: measures/ in FOLDER]"),
    ] = None,
    shard: ShardName = None,
    as_json: AsJson = False,
) -> None:
    """Measure existing images: diversity, fidelity, and other values that no method saw.

    In a run, every label is compared with the base, which is always measured. The same command
    again computes only what is missing, and `hnbench report` shows the values of a run.
    """
    found = api.measure(
        folder,
        measure=measure,
        suite=suite,
        quick=quick,
        partial=partial,
        label=label,
        batch_size=batch_size,
        device=device,
        out=out,
        shard=shard,
    )

    from hnbench.images.measure_table import sentences, table_of

    if as_json:
        print_json({"path": found.path, "missing": found.missing, "values": rows(found.frame())})
        return
    if found.missing:
        labels = f"{found.missing} labels of the measures have no values yet"
        show_shard(found.shard, labels, found.path.parent)
        return
    if not found.new:
        note(f"nothing new to measure: all values are in {found.path.parent}")
    show_scores(
        table_of(found.inventory, found.measured, found.base),
        sentences(found.inventory, found.measured),
        f"Prompt by prompt: {found.path}",
    )
