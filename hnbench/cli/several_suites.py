"""Several suites in one command: a run of its own for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.catalogue.specifications import find_suite
from hnbench.errors import UsageError
from hnbench.files.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def runs_of(suites: Sequence[str], out: Path | None) -> Iterator[tuple[str, Path | None]]:
    """Each suite with the folder of its run: `out` itself for a single suite, and a folder in `out`
    for each of several; None for the run's own name.

    `UsageError` for an unknown suite, before any run, and for one that is given twice or whose
    folder would be that of another.
    """
    for suite in suites:
        find_suite(suite)
    names = [plain_name(suite) for suite in suites]
    for suite, name in zip(suites, names, strict=True):
        if names.count(name) > 1:
            raise UsageError(
                f"the suite {suite!r} is given twice, or its folder would be that of another; give"
                " it once, or run it by itself"
            )
    for suite, name in zip(suites, names, strict=True):
        yield suite, out if out is None or len(suites) == 1 else out / name
