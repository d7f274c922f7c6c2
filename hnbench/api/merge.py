"""`hnbench.merge`: joins the folders of one run that lie on several machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.display.screen import Screen
from hnbench.images.merging import check_results, merge_results
from hnbench.runs.coverage import cover
from hnbench.runs.merging import merge as merge_runs
from hnbench.runs.plan import Plan
from hnbench.runs.store import Run, read_run

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class MergedRun(Run):
    """A run that was merged, and how much of its plan is done."""

    expected: int
    """The number of samples in the plan, over all labels."""
    done: int
    failed: int
    journals: int
    """The number of journals that were added now."""
    images: int
    """The number of images that were added now."""
    values: int
    """The number of lines of `hnbench.score` and `hnbench.measure` that were added now: verdicts,
    and rows of measured values.
    """
    damaged: tuple[str, ...]
    """The paths of images that no folder has as they were written. Their samples count as missing:
    `hnbench.run` computes them.
    """


def merge(runs: Sequence[str | Path], *, out: str | Path, progress: bool = True) -> MergedRun:
    """Merge the folders of one run, computed on machines without a common disk, into `out`.

    The result does not depend on the order of the folders. If `out` holds the same run, the others
    are added to it; the other folders are only read. What `hnbench.measure` and `hnbench.score`
    stored in the run folders is merged too. The same call completes a merge that was interrupted.

    Raises `UsageError` if no folder is given; `StoreError` for folders that are not of one run with
    one plan or have different values of the same image, before anything is written, and for a
    folder that is damaged or cannot be written to.
    """
    parts, target = [Path(run) for run in runs], Path(out)
    with Screen(shown=progress) as screen, screen.stages() as display:
        check_results(parts, target)
        added = merge_runs(parts, target, display)
        values = merge_results(parts, target)
    found = read_run(target)
    coverage = cover(Plan.from_manifest(found.manifest), found.records, target)
    missing = set(added.damaged)
    return MergedRun(
        **vars(found),
        expected=coverage.expected,
        done=sum(record.image.path not in missing for record in coverage.done if record.image),
        failed=len(coverage.failed),
        journals=added.journals,
        images=added.images,
        values=values,
        damaged=added.damaged,
    )
