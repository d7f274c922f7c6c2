"""Pictures as sixels, the graphics of DEC's VT340, and the terminals that announce them.

The VT330/VT340 Programmer Reference Manual, volume 2, chapter 14 describes the code. A sixel is a
column of six pixels in one colour: its bits, the top one lowest, plus 63, as a character. A
terminal announces sixels by the 4 in its device attributes (DA1), and tells the number of its
colours by xterm's control sequence XTSMGRAPHICS.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from hnbench.display.inline_pictures import passes_on
from hnbench.display.terminal_questions import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import numpy.typing as npt

COLOURS = 256
"""The most colours of a picture."""
_ANNOUNCED = 4
"""The device attribute of terminals with sixels."""
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_REGISTERS = re.compile(rb"\x1b\[\?1;0;(\d{1,9})S")
_ROWS = 6
_RUN = 4
"""The fewest equal sixels that are shorter as a repetition."""


def sixel_colours(environment: Mapping[str, str]) -> int | None:
    """The number of colours, up to `COLOURS`, of a sixel picture in the terminal; None if it does
    not announce sixels, or if it is not asked (`ask`): within tmux and screen, and if TERM says
    that it has no escape codes.
    """
    if environment.get("TERM", "dumb") == "dumb" or not passes_on(environment):
        return None
    answer = _ATTRIBUTES.search(ask("\x1b[c", _ATTRIBUTES))
    # The first number is the terminal's class.
    if answer is None or str(_ANNOUNCED).encode() not in answer[1].split(b";")[1:]:
        return None
    # A terminal without this question leaves it out, and answers the one after it.
    registers = _REGISTERS.search(ask("\x1b[?1;1;0S\x1b[c", _ATTRIBUTES))
    number = COLOURS if registers is None else int(registers[1])
    return min(COLOURS, number) if number > 1 else COLOURS


def sixels(png: bytes, width: int, colours: int = COLOURS) -> str:
    """The text that shows a PNG file at the cursor of a terminal, in ASCII, with a line end.

    A picture that is wider than `width` pixels is reduced to it in the same proportions. It is
    drawn in at most `colours` colours, 2 to 256.
    """
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    reduced = picture.quantize(colours)
    palette = np.array(reduced.getpalette(), dtype=np.float64).reshape(-1, 3)
    # In percent.
    registers = [
        f"#{at};2;{';'.join(str(round(part / 2.55)) for part in colour)}"
        for at, colour in enumerate(palette)
    ]
    parts = [
        # P2=1: pixels that are not drawn stay as they are; then the size, with square pixels.
        f'\x1bP0;1q"1;1;{reduced.width};{reduced.height}',
        *registers,
        *_bands(np.asarray(reduced)),
        "\x1b\\\n",
    ]
    return "".join(parts)


def _bands(indices: npt.NDArray[np.uint8]) -> Iterator[str]:
    """The picture in bands of six rows: each colour of a band is drawn over the whole width, from
    the band's left end again; `indices` is `[H, W]`.
    """
    import numpy as np

    for start in range(0, len(indices), _ROWS):
        band = indices[start : start + _ROWS]
        lines = [
            f"#{colour}{_line(np.packbits(band == colour, axis=0, bitorder='little')[0])}"
            for colour in np.unique(band)
        ]
        yield "$".join(lines) + "-"


def _line(bits: npt.NDArray[np.uint8]) -> str:
    """One colour of a band from the six bits of each column, `[W]`; empty columns at the end are
    left out.
    """
    import numpy as np

    starts = np.flatnonzero(np.diff(bits, prepend=~bits[:1]))
    lengths = np.diff(starts, append=len(bits)).tolist()
    runs = list(zip(bits[starts].tolist(), lengths, strict=True))
    if runs[-1][0] == 0:
        runs.pop()
    return "".join(
        f"!{length}{chr(one + 63)}" if length >= _RUN else chr(one + 63) * length
        for one, length in runs
    )
