"""`hnbench compare`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli.json_output import AsJson, print_json
from hnbench.cli.options import Embed
from hnbench.cli.printing import show_report

EXAMPLES = (
    "hnbench compare results/a results/b",
    "hnbench compare small=results/a large=results/b --rows hypernoise --on unseen",
    "hnbench compare results/a --rows reno:iterations=20 --rows reno:iterations=50",
)


class Prompts(StrEnum):
    """The prompts that are compared."""

    all = "all"
    unseen = "unseen"


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Run folders, or NAME=FOLDER; the first is the reference."
        ),
    ],
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--rows", metavar="LABEL", help="Compare only this row; repeatable. [default: all]"
        ),
    ] = None,
    on: Annotated[
        Prompts, typer.Option("--on", help="All prompts, or those that no training saw.")
    ] = Prompts.all,
    out: Annotated[
        str | None,
        typer.Option("--out", help="The comparison's folder. [default: results/compare-A-B]"),
    ] = None,
    embed: Embed = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs of one suite that differ in anything.

    Every row is compared with that of its label in the first run; the rows of a single run are
    compared with each other.
    """
    found = api.compare(runs, rows=rows, on=on.value, out=out, embed=embed)
    if as_json:
        print_json(found.to_json())
        return
    from hnbench.reports.comparison.text import console_table

    written = {"page": found.page, "comparison": found.path}
    show_report(
        console_table(found), found.notes, {name: path for name, path in written.items() if path}
    )
