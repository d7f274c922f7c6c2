"""`hnbench.view`: shows the report of a run in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from hnbench.api.report import newest_run, report


def _ignore(_address: str) -> None:
    """Say nothing."""


def view(
    run: str | Path | None = None,
    *,
    port: int = 0,
    browser: bool = True,
    before: Callable[[str], None] = _ignore,
) -> None:
    """Serve the report of a run, with its images, on this machine until a Ctrl-C.

    `run` is a run's folder; None is the newest one under `results/`. The report is written first if
    there is none, or if the run has changed since. Only programs on this machine reach the server,
    and only the report's files and the images. `port` 0 is any free one; `browser` opens the page
    in the default browser; `before` is called with the page's address before the first answer.

    Raises `UsageError` if the port cannot be used or the run has no record, `StoreError` for a
    damaged run.
    """
    from hnbench.reports.existing import is_current
    from hnbench.reports.folder import PAGE
    from hnbench.reports.serving import address_of, server_of

    folder = newest_run() if run is None else Path(run)
    with server_of(folder, port) as server:
        if not (is_current(folder) and (folder / "report" / PAGE).is_file()):
            report(folder)
        address = address_of(server)
        before(address)
        if browser:
            # A browser in the terminal would keep the server from answering it.
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.serve_forever()
