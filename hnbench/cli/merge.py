"""`hnbench merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli.output import echo
from hnbench.errors import SampleFailure

EXAMPLES = (
    "hnbench merge from-node1 from-node2 --out results/my-run",
    "hnbench merge /mnt/usb/my-run --out results/my-run",
)


def merge(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of one run; only read.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The folder to merge into: a new one, or of the same run.")
    ],
) -> None:
    """Merge the folders of one run, computed on machines without a common disk.

    Each machine runs its own --shard. The folders must be of one run with the same methods and
    prompts, in any order. Verdicts of `hnbench score` and values of `hnbench measure` in them are
    merged too. An interrupted merge is completed by the same command.
    """
    found = api.merge(runs, out=out)
    echo(
        f"{found.folder} has {found.done} of {found.expected} records: {found.journals} journals"
        f" and {found.images} images were added"
    )
    if found.values:
        echo(
            f"{found.values} lines of verdicts and measured values were added; `hnbench score` and"
            " `hnbench measure` compute only what is missing"
        )
    if found.damaged:
        raise SampleFailure(
            f"images that no folder has as they were written: {len(found.damaged)}, such as"
            f" {found.damaged[0]}; `hnbench run` with the run's own options and this folder as"
            " `out` draws them again"
        )
    if found.failed:
        raise SampleFailure(
            f"{found.failed} of {found.expected} samples failed; `hnbench run` with the run's own"
            " options and this folder as `out` tries them again"
        )
