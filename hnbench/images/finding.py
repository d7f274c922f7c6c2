"""Finds a folder's layout, a run's, GenEval's or T2I-CompBench's, and reads its images."""

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
    """The run, if one was given or the folder is a run's; any other folder as a path."""
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

    The images that a run should have follow from its plan, which has the prompts too, so `suite`
    may be None; only runs have `labels`. In any other folder, the expected images follow from the
    suite's full protocol, or from the quick one with `quick`.

    Raises `UsageError` for a missing folder, one of no known layout, and an argument that does not
    apply to it.
    """
    place = place_of(place)
    if isinstance(place, Run):
        if quick:
            raise UsageError(
                f"{place.folder} is a run folder, and its plan says which images it should have;"
                " leave out `quick`"
            )
        return read_run_images(place, suite, labels)
    if suite is None:
        raise UsageError(
            f"{place} is not a run folder; for other images, name the suite of their prompts with"
            " `suite`"
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
        " samples/PROMPT_000000.png; give a folder that has one of them"
    )
