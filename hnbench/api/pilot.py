"""The run that a plan learns the spread of differences from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.runs.manifest import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.api.arrangement import Arrangement
    from hnbench.reports.power import PairPower
    from hnbench.runs.plan import PlannedPrompt


def power_by_pilot(
    difference: float,
    pilot: str | Path | None,
    asked: Arrangement,
    prompts: Sequence[PlannedPrompt],
) -> tuple[PairPower, ...]:
    """The power of a planned run with these `prompts`, for every two rows of the `pilot`, which is
    by default what the run's own folder has. `UsageError` if the pilot cannot be used.
    """
    from hnbench.reports.pool import pool_runs
    from hnbench.reports.power import power_of

    if not 0 < difference < math.inf:
        raise UsageError(f"`detect` was {difference}; it must be above 0, for example 0.02")
    suite = asked.suite.name
    if pilot is None and not (asked.folder / MANIFEST).is_file():
        raise UsageError(
            "the spread of the differences is not known before a run; make a small one, for example"
            f" of {suite} with a `limit` of 48, and give its folder as `pilot`"
        )
    pool = pool_runs([asked.folder if pilot is None else Path(pilot)])
    own = pool.manifests[0]["suite"]["name"]
    unknown = sorted({prompt.tag for prompt in prompts}.difference(pool.tags))
    if own != suite or unknown:
        missing = f", and has no prompt of {', '.join(unknown)}" if own == suite else ""
        raise UsageError(
            f"the pilot {pool.folders[0]} is a run of {own}{missing}; a run of {suite} with all of"
            " its tags is needed"
        )
    return power_of(pool, prompts, difference)
