"""`hnbench env`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hnbench.catalogue.loading import choose_device
from hnbench.cli.options import DeviceName
from hnbench.cli.printing import show_values
from hnbench.runs.surroundings import surroundings

EXAMPLES = (
    "hnbench env",
    "hnbench env --json",
)


def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: DeviceName = "auto",
) -> None:
    """Print versions, device, cache and what was verified here: paste it into a bug report."""
    found = surroundings(choose_device(device))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    show_values(found)
