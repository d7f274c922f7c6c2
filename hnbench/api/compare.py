"""`hnbench.compare`: runs that differ in more than the base seed, in one table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.api.arguments import RESULTS, Several, check_embed, several
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.reports.comparison.comparison import Comparison
    from hnbench.runs.store import Run

ON = ("all", "unseen")
"""The prompts that are compared: all, or those that no training saw."""
_NAMED = re.compile(r"([^=/\\]+)=(.+)", re.DOTALL)


def compare(
    runs: Run | str | Path | Sequence[Run | str | Path],
    *,
    rows: Several = None,
    on: str = "all",
    out: str | Path | None = None,
    embed: int | None = None,
) -> Comparison:
    """Compare runs of one suite that differ in hypernetwork, generator, rewards or parameters.

    Every row is compared with the row of its label in the first run; with one run, every two rows
    are compared. A run is given by its folder, as `NAME=FOLDER`, or as `hnbench.run` returns it;
    runs that differ only in the base seed are pooled. `rows` are the labels to compare; None is
    all. `on` is "all", or "unseen" for the prompts that no compared training saw. Tables, plots and
    text go into `out`, by default `results/compare-A-B/` for runs A and B.

    The page there links the images of rows that started from the same noises where they are. With
    `embed`, it contains small pictures of at most that number of prompts instead, so that it can be
    sent as one file.

    Raises `UsageError` for runs that cannot be compared, `StoreError` for a damaged run.
    """
    from hnbench.reports.comparison.comparison import compared
    from hnbench.reports.comparison.write import write_comparison

    if on not in ON:
        raise UsageError(f"`on` is {on!r}; give {' or '.join(map(repr, ON))}")
    check_embed(embed)
    given = list(runs) if isinstance(runs, (list, tuple)) else [runs]
    found = compared(
        [_named(one) for one in given],  # type: ignore[arg-type]
        labels=several(rows),
        unseen=on == "unseen",
    )
    names = "-".join(group.pool.folders[0].resolve().name for group in found.groups)
    place = RESULTS / f"compare-{names}" if out is None else Path(out)
    return replace(found, path=write_comparison(found, place, embed=embed))


def _named(given: Run | str | Path) -> tuple[str | None, Run | Path]:
    """The name of a run, or None, and the run. An existing folder whose name has a `=` is a
    folder.
    """
    if not isinstance(given, (str, Path)):
        return None, given
    match = _NAMED.fullmatch(str(given))
    if match is None or Path(given).exists():
        return None, Path(given)
    return match[1], Path(match[2])
