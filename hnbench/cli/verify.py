"""`hnbench verify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.catalogue.loading import Dtype
from hnbench.cli.json_output import AsJson, print_json
from hnbench.cli.options import DeviceName
from hnbench.cli.printing import show_lines, show_scores
from hnbench.errors import SampleFailure
from hnbench.verification import reference, tables
from hnbench.weights.verified import remembered

EXAMPLES = (
    "hnbench verify",
    "hnbench verify imagereward geneval --device cuda",
    "hnbench verify --list",
    "hnbench verify --explain imagereward",
)


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help=(
                "Generators, rewards, suites, measures, or single checks. [default: all without GPU"
                " and below 5 GB]"
            ),
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Print the known checks, and run none.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="NAME",
            help="Print where the expected numbers come from, and run none.",
        ),
    ] = None,
    slow: Annotated[
        bool,
        typer.Option(
            "--slow", help="Also run on a CPU checks that are quick only on a GPU: hours."
        ),
    ] = False,
    device: DeviceName = "auto",
    dtype: Annotated[
        Dtype | None,
        typer.Option("--dtype", help="The type that the models compute in. [default: the check's]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The JSON file. [default: results/verified/ and the time]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that this installation, on this machine, gives the published numbers.

    Models and inputs are downloaded if needed; each number is computed by the functions that a run
    uses. The results are remembered, and runs and reports show them for their models. The exit code
    is 3 when anything differs, or nothing could be compared.
    """
    if as_json and (listed or explain is not None):
        chosen = _chosen(names if explain is None else [explain])
        print_json({"checks": [asdict(one) for one in chosen]})
        return
    if explain is not None:
        show_lines(line for one in _chosen([explain]) for line in tables.explained(one))
        return
    if listed:
        where = "hnbench verify --explain NAME: its source"
        show_scores(tables.list_table(_chosen(names), remembered()), (), where)
        return
    found = api.verify(names, slow=slow, device=device, dtype=dtype, out=out)
    if as_json:
        print_json({"path": found.path, **found.session.to_json()})
    else:
        lines = tables.sentences(found.results)
        show_scores(tables.result_table(found.results), lines, f"The same as JSON: {found.path}")
    if found.failed:
        raise SampleFailure(
            "some checks failed, or none could compare anything; the table says which, and `hnbench"
            " verify --explain NAME` where the expected numbers come from"
        )


def _chosen(names: list[str] | None) -> Sequence[reference.Reference]:
    known = reference.all_references()
    return reference.choose(names, known) if names else known
