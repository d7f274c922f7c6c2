"""Which layout a folder has: a run's, GenEval's or T2I-CompBench's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.images.layouts.geneval import is_geneval, read_geneval
from hnbench.images.layouts.run import is_run, read_run_images
from hnbench.images.layouts.t2i_compbench import is_compbench, read_compbench

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.images.inventory import Inventory
    from hnbench.suites.base import Suite


def find_images(
    folder: Path, suite: Suite | None, *, quick: bool = False, labels: Sequence[str] = ()
) -> Inventory:
    """The suite's images in a folder of any known layout. `labels` are for a run folder, whose plan
    says what there should be.

    The suite may be None for a run: its plan has the prompts. Elsewhere the suite's full protocol
    says what there should be, or with `quick` the quick one. A folder of no known layout is a
    `UsageError`.
    """
    if is_run(folder):
        if quick:
            raise UsageError(
                f"{folder} is a run folder, and its plan says which images there should be; leave"
                " out `quick`"
            )
        return read_run_images(folder, suite, labels)
    if suite is None:
        raise UsageError(f"{folder} is not a run folder; give the `suite` of its prompts")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give one with images, or a run's")
    if labels:
        raise UsageError(
            f"{folder} is not a run folder, and only runs have labels; leave out `label`"
        )
    if is_geneval(folder):
        return read_geneval(folder, suite, full=not quick)
    if is_compbench(folder, suite):
        return read_compbench(folder, suite, full=not quick)
    raise UsageError(
        f"{folder} has no known layout: no run.json, no 00000/metadata.jsonl with 00000/samples, no"
        " samples/PROMPT_000000.png"
    )
