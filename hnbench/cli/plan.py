"""`hnbench plan`."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import Annotated, Any

import typer

import hnbench as api
from hnbench.api.arguments import DIVISION
from hnbench.cli.json_output import AsJson, print_json, rows
from hnbench.cli.printing import show_plan
from hnbench.cli.run import run

EXAMPLES = (
    "hnbench plan --suite geneval-shapes",
    "hnbench plan --suite geneval --generator sana-sprint-0.6b --full --processes 8",
    "hnbench plan --suite geneval-shapes --method reno --batch-size 8 --measure",
    "hnbench plan --suite geneval-shapes --json",
)


def plan(
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Load the models, and measure time and memory with a few samples of each method.",
        ),
    ] = False,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            min=1,
            help="Processes that share the run, each with its own device, for the time in all.",
        ),
    ] = 1,
    as_json: AsJson = False,
    **asked: Any,
) -> None:
    """Print what a run will take, before it begins.

    The options are those of `hnbench run`. Images, passes, operations, downloads and disk are known
    without loading anything; --measure adds time and memory. What the run's folder has is counted
    as done.
    """
    found = api.plan(**asked, measure=measure, processes=processes)
    if as_json:
        print_json(
            {
                "folder": found.folder,
                "methods": rows(found.frame().reset_index()),
                "downloads": [asdict(one) for one in found.downloads],
                "bytes_per_image": found.bytes_per_image,
                "processes": found.processes,
                "seconds_left": found.seconds_left_together,
                "sentences": found.sentences(),
            }
        )
        return
    show_plan(found)


def _options() -> list[inspect.Parameter]:
    """The options of `hnbench run` that say what is run, then those of `hnbench plan`."""
    own = inspect.signature(plan, eval_str=True).parameters
    theirs = inspect.signature(run, eval_str=True).parameters
    shared = [one for name, one in theirs.items() if name not in ("report", *DIVISION)]
    return [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in (*shared, *(one for name, one in own.items() if name != "asked"))
    ]


def _as_typer_reads(options: list[inspect.Parameter]) -> None:
    """Put the options where typer looks for a command's options."""
    plan.__annotations__ = {one.name: one.annotation for one in options} | {"return": None}
    plan.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]


_as_typer_reads(_options())
