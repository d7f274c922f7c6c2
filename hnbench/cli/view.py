"""`hnbench view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli.output import echo
from hnbench.guards.interrupts import Terminated

EXAMPLES = ("hnbench view", "hnbench view results/my-run --port 8000 --no-browser")


def view(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run's folder. [default: the newest one under results/]"),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The server's port; 0: any free one.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the default browser.")
    ] = True,
) -> None:
    """Show the report of a run, with all of its images, in a browser.

    A server answers programs on this machine until Ctrl-C. It has the report and the images alone,
    and writes the report first if the run has changed since.
    """
    try:
        api.view(run, port=port, browser=browser, before=_say)
    except KeyboardInterrupt as signal:
        # Ctrl-C is how the server is meant to end; SIGTERM ends it like any other command.
        if isinstance(signal, Terminated):
            raise


def _say(address: str) -> None:
    echo(f"The report is at {address} until Ctrl-C.")
