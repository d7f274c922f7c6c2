"""`hnbench plan`."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import hnbench as api
from hnbench.api.arguments import DIVISION
from hnbench.cli.json_output import AsJson, print_json, rows
from hnbench.cli.output import note
from hnbench.cli.printing import show_plan, show_power
from hnbench.cli.run import run
from hnbench.cli.several_suites import runs_of

if TYPE_CHECKING:
    from hnbench.api.plan import RunPlan

EXAMPLES = (
    "hnbench plan --suite geneval-shapes",
    "hnbench plan --suite geneval --generator sana-sprint-0.6b --full --processes 8",
    "hnbench plan --suite geneval-shapes --method reno --batch-size 8 --measure",
    "hnbench plan --suite geneval-shapes --full --detect 0.02 --pilot results/pilot",
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
    detect: Annotated[
        float | None,
        typer.Option(
            "--detect",
            metavar="DIFFERENCE",
            help="Also say which differences in the overall score the run can tell from zero, and"
            " the seeds and prompts that this one needs.",
        ),
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(
            "--pilot",
            metavar="RUN",
            help="The finished run that --detect learns the spread from; by default, what is in the"
            " run's own folder.",
        ),
    ] = None,
    as_json: AsJson = False,
    **asked: Any,
) -> None:
    """Print what a run will take, before it begins.

    The options are those of `hnbench run`. Images, passes, operations, downloads and disk are known
    without loading anything; --measure adds time and memory. What the run's folder has is counted
    as done.
    """
    suites: list[str] = asked.pop("suite")
    own: dict[str, Any] = {
        "measure": measure,
        "processes": processes,
        "detect": detect,
        "pilot": pilot,
    }
    found = []
    for suite, out in runs_of(suites, asked.pop("out")):
        found.append(api.plan(suite, **asked, out=out, **own))
        if not as_json:
            if len(suites) > 1:
                note(f"the suite {suite}")
            show_plan(found[-1])
            if detect is not None:
                show_power(found[-1], detect)
    if as_json:
        listed = [_as_json(one) for one in found]
        print_json(listed[0] if len(listed) == 1 else listed)


def _as_json(found: RunPlan) -> dict[str, Any]:
    return {
        "folder": found.folder,
        "methods": rows(found.frame().reset_index()),
        "downloads": [asdict(one) for one in found.downloads],
        "bytes_per_image": found.bytes_per_image,
        "processes": found.processes,
        "seconds_left": found.seconds_left_together,
        "power": [asdict(one) for one in found.power],
        "sentences": found.sentences(),
    }


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
