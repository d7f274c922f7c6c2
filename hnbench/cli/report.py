"""`hnbench report`, and the report at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import hnbench as api
from hnbench.cli import completion
from hnbench.cli.json_output import AsJson, print_json, rows
from hnbench.cli.options import Embed
from hnbench.cli.printing import show_lines, show_report
from hnbench.errors import SampleFailure
from hnbench.runs.store import Run

if TYPE_CHECKING:
    from hnbench.api.report import Report

EXAMPLES = (
    "hnbench report",
    "hnbench report results/my-run --published",
    "hnbench report results/seed0 results/seed1 --out results/report",
    "hnbench report results/my-run --embed 50 --out to-mail",
)


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            autocompletion=completion.runs,
            metavar="[RUN]...",
            help="Run folders. [default: the newest one under results/]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=(
                "The report's folder; needed for several runs. [default: report/ in the run's"
                " folder]"
            ),
        ),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Show published numbers next to the run's own.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Also compare every image with the SHA-256 of its record."),
    ] = False,
    embed: Embed = None,
    as_json: AsJson = False,
) -> None:
    """Write and print the report of a run.

    It is made from the run's records alone. Runs of several base seeds are reported together.
    """
    write_and_show(runs, out, published=published, check=check, embed=embed, as_json=as_json)


def show_existing(run: Path) -> bool:
    """Print the report that the run's folder already has. False, and nothing is printed, if it has
    none, or an older one than the run.
    """
    from hnbench.reports.existing import existing_report
    from hnbench.reports.folder import PAGE

    found = existing_report(run)
    if found is None:
        return False
    path, text = found
    page = path.with_name(PAGE)
    # A report of an older hnbench has no page.
    shown = [f"The page: {page}"] if page.is_file() else []
    show_lines([*text.splitlines(), "", *shown, f"The report: {path}"])
    return True


def write_and_show(
    runs: Run | Sequence[Path] | None,
    out: Path | None = None,
    *,
    published: bool = False,
    check: bool = False,
    embed: int | None = None,
    as_json: bool = False,
) -> None:
    """Write the report, and print its table, findings, published numbers (if asked for) and paths;
    or all of these as JSON.

    Raises `SampleFailure` if `check` finds missing or changed images.
    """
    found = api.report(runs, out=out, published=published, check=check, embed=embed)

    if as_json:
        print_json(
            {
                "path": found.path,
                "page": found.page,
                "findings": found.findings,
                "published": found.published,
                "damaged": found.damaged,
                "summary": rows(found.frame()),
            }
        )
    else:
        _show(found)
    if damaged := found.damaged:
        raise SampleFailure(
            f"images that are missing or were changed: {len(damaged)}, such as {damaged[0]}; remove"
            " the changed ones, and `hnbench run` with the run's own options draws them again"
        )


def _show(found: Report) -> None:
    from hnbench.reports.tables import console_table, narrow_tables

    show_report(
        console_table(found.summary),
        [*found.findings, *found.published],
        {"page": found.page, "report": found.path},
        narrow=narrow_tables(found.summary),
    )
