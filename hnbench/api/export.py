"""`hnbench.export`: a run's images in the layout of another project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hnbench.api.arguments import Several, several
from hnbench.catalogue import specifications
from hnbench.display.screen import Screen

if TYPE_CHECKING:
    from hnbench.images.inventory import Inventory
    from hnbench.runs.store import Run


@dataclass(frozen=True)
class ExportedImages:
    """Images that were written for another project's scripts."""

    folders: dict[str, Path]
    """Label -> its folder."""
    inventory: Inventory
    """The exported images, and what the run lacks."""


def export(
    run: Run | str | Path,
    *,
    layout: Literal["geneval", "t2i-compbench"],
    out: str | Path,
    label: Several = None,
    partial: bool = False,
    progress: bool = True,
) -> ExportedImages:
    """Write a run's images in the layout that another project's scripts read.

    The images are the run's files, checked by SHA-256. The same call again adds what is missing.

    Raises `UsageError` for an incomplete run (unless `partial`), for prompts that the layout cannot
    hold, and for a folder with anything else in it; `StoreError` for a damaged run.
    """
    from hnbench.images.export import export as write_images
    from hnbench.images.layouts.run import read_run_images
    from hnbench.runs.store import Run, read_run

    read = run if isinstance(run, Run) else read_run(run)
    suite = read.manifest["config"]["suite"]
    # Only GenEval's layout holds a prompt's metadata, which the suite knows and the run does not.
    needs_metadata = layout == "geneval" and not specifications.is_file(suite)
    chosen = specifications.make_suite(suite) if needs_metadata else None
    found = read_run_images(read, chosen, several(label))
    with Screen(shown=progress) as screen, screen.stages() as display:
        found = found.usable(display, partial=partial)
        folders = write_images(read, found, layout, Path(out), display)
    return ExportedImages(folders, found)
