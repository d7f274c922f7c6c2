"""The grid of `hnbench generate` in the terminal itself."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from hnbench.cli.output import note
from hnbench.display.inline_pictures import TERMINALS, escape_codes, protocol_of
from hnbench.display.verbosity import is_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COLUMN = 8
"""About the pixels of a column: a grid that may be wider than the terminal is reduced to it."""


def show_grids(grids: Sequence[Path], *, asked: bool | None) -> None:
    """Show PNG files in the terminal, if it is known to show pictures. `asked` is the user's wish:
    False shows nothing, and True says why if nothing can be shown.
    """
    if asked is False or is_quiet():
        return
    protocol = protocol_of(os.environ) if sys.stdout.isatty() else None
    if protocol is None:
        if asked:
            note(
                "the grid is not shown: the output is not a terminal that is known to show pictures"
                f" ({TERMINALS})"
            )
        return
    columns = shutil.get_terminal_size().columns
    for path in grids:
        wide = _width(path) > columns * _COLUMN
        sys.stdout.write(escape_codes(path.read_bytes(), protocol, columns if wide else None))
    sys.stdout.flush()


def _width(path: Path) -> int:
    """The width of a picture, in pixels."""
    from PIL import Image

    with Image.open(path) as picture:
        return picture.width
