"""Lines of text that fit a width, measured as drawn: letters of other scripts are wider or narrower
than Latin ones, and some scripts write no spaces.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wrapped(
    text: str, width: float, lines: int, measured: Callable[[str], float], more: str = "…"
) -> str:
    r"""The text in at most `lines` lines no wider than `width`, by the widths that `measured`
    returns. Lines break at spaces, and within a word that is wider than a line. A text that does
    not fit ends in `more`.

    >>> wrapped("a photo of threescore rings", 10, 3, len)
    'a photo of\nthreescore\nrings'
    >>> wrapped("a photo of threescore rings", 7, 3, len)
    'a photo\nof\nthrees…'
    """
    done: list[str] = []
    rest = text.split()
    while rest and len(done) < lines:
        line = rest.pop(0)
        if measured(line) > width:
            kept = _beginning(line, width, measured)
            line, rest = line[:kept], [line[kept:], *rest]
        else:
            while rest and measured(f"{line} {rest[0]}") <= width:
                line = f"{line} {rest.pop(0)}"
        done.append(line)
    if rest and done:
        last = done[-1]
        while last and measured(last + more) > width:
            last = last[:-1]
        done[-1] = last.rstrip() + more
    return "\n".join(done)


def _beginning(word: str, width: float, measured: Callable[[str], float]) -> int:
    """The number of a word's characters that fit, at least one."""
    # A longer beginning is wider, and measuring a long one takes long.
    fitting = bisect_right(range(1, len(word)), width, key=lambda kept: measured(word[:kept]))
    return max(fitting, 1)
