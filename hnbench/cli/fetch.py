"""`hnbench fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

import hnbench as api
from hnbench.cli import completion
from hnbench.cli.options import DtypeName, HeldOut, Weights
from hnbench.cli.output import echo
from hnbench.cli.printing import show_downloads

EXAMPLES = (
    "hnbench fetch --generator sd-turbo --dtype bfloat16 --suite geneval",
    "hnbench fetch --optimise human-preference --hold-out aesthetic",
    "hnbench fetch --measure lpips --measure dino-similarity",
)


def fetch(
    generator: Annotated[
        str | None,
        typer.Option(
            "--generator",
            autocompletion=completion.generators,
            help="A text-to-image model, with its preset's rewards and hypernetwork.",
        ),
    ] = None,
    dtype: DtypeName = None,
    optimise: Weights = None,
    hold_out: HeldOut = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            autocompletion=completion.suites,
            help="A suite: its prompts, and its judge's models.",
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            autocompletion=completion.measures,
            metavar="NAME",
            help="A measure's models; repeatable.",
        ),
    ] = None,
) -> None:
    """Download what a run will need.

    Afterwards the same run needs no network: everything comes from the local cache.
    """
    api.fetch(
        generator=generator,
        dtype=dtype,
        optimise=optimise,
        hold_out=hold_out,
        suite=suite,
        measure=measure,
        before=show_downloads,
    )
    echo("everything is on this machine now")
