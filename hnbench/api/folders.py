"""A run or a folder of images, however a caller gives it; read once."""

from __future__ import annotations

from pathlib import Path

from hnbench.images.layouts.run import is_run
from hnbench.runs.store import Run, read_run


def place_of(given: Run | str | Path) -> Run | Path:
    """The run that was read before or lies in the folder, or the folder itself if it is not a
    run's.
    """
    if isinstance(given, Run):
        return given
    folder = Path(given)
    return read_run(folder) if is_run(folder) else folder
