"""The grid of `hnbench generate` in the terminal itself."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from hnbench.cli.output import note
from hnbench.display.inline_pictures import TERMINALS, escape_codes, protocol_of
from hnbench.display.sixel import sixel_colours, sixels
from hnbench.display.verbosity import is_quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_COLUMN = 8
"""About the pixels of a column: a grid that may be wider than the terminal is reduced to it."""


def show_grids(grids: Sequence[Path], *, asked: bool | None) -> None:
    """Show PNG files in the terminal, if it is known to show pictures. `asked` is the user's wish:
    False shows nothing, and True says why if nothing can be shown.
    """
    if asked is False or is_quiet():
        return
    text_of = _text_of() if sys.stdout.isatty() else None
    if text_of is None:
        if asked:
            note(
                "the grid is not shown: the output is not a terminal that is known to show pictures"
                f" ({TERMINALS})"
            )
        return
    for path in grids:
        sys.stdout.write(text_of(path))
    sys.stdout.flush()


def _text_of() -> Callable[[Path], str] | None:
    """The way from a PNG file to the text that shows it in this terminal; None if there is none."""
    columns = shutil.get_terminal_size().columns
    protocol = protocol_of(os.environ)
    if protocol is not None:

        def text(path: Path) -> str:
            wide = _width(path) > columns * _COLUMN
            return escape_codes(path.read_bytes(), protocol, columns if wide else None)

        return text
    colours = sixel_colours(os.environ)
    if colours is None:
        return None
    return lambda path: sixels(path.read_bytes(), columns * _COLUMN, colours)


def _width(path: Path) -> int:
    """The width of a picture, in pixels."""
    from PIL import Image

    with Image.open(path) as picture:
        return picture.width
