"""Which layout a folder has: a run's, GenEval's or T2I-CompBench's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.images.layouts.geneval import is_geneval, read_geneval
from hnbench.images.layouts.run import is_run, read_run_images
from hnbench.images.layouts.t2i_compbench import is_compbench, read_compbench
from hnbench.runs.store import Run, read_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.images.inventory import Inventory
    from hnbench.suites.base import Suite


def place_of(given: Run | str | Path) -> Run | Path:
    """The run that was read before or that the folder is of; any other folder as a path."""
    if isinstance(given, Run):
        return given
    folder = Path(given)
    return read_run(folder) if is_run(folder) else folder


def find_images(
    place: Run | str | Path,
    suite: Suite | None,
    *,
    quick: bool = False,
    labels: Sequence[str] = (),
) -> Inventory:
    """The suite's images of a run, or in a folder of any known layout.

    `labels` are for a run, whose plan says what there should be; its suite may be None, because
    the plan has the prompts. Elsewhere the suite's full protocol says what there should be, or with
    `quick` the quick one. A folder of no known layout is a `UsageError`.
    """
    place = place_of(place)
    if isinstance(place, Run):
        if quick:
            raise UsageError(
                f"{place.folder} is a run folder, and its plan says which images there should be;"
                " leave out `quick`"
            )
        return read_run_images(place, suite, labels)
    if suite is None:
        raise UsageError(
            f"{place} is not a run; name the suite whose prompts other images show with `suite`"
        )
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}; give one with images, or a run's")
    if labels:
        raise UsageError(
            f"{place} is not a run folder, and only runs have labels; leave out `label`"
        )
    if is_geneval(place):
        return read_geneval(place, suite, full=not quick)
    if is_compbench(place, suite):
        return read_compbench(place, suite, full=not quick)
    raise UsageError(
        f"{place} has no known layout: no run.json, no 00000/metadata.jsonl with 00000/samples, no"
        " samples/PROMPT_000000.png"
    )
