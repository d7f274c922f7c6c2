"""How a message about an unknown name ends."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a message: the nearest known name, if one is near, and all of them.

    >>> suggestion("bleu", ["red", "blue"])
    "; did you mean 'blue'? known: blue, red"
    >>> suggestion("x", [])
    '; known: none'
    """
    listed = sorted(known)
    near = difflib.get_close_matches(name, listed, n=1)
    return (
        f"; did you mean {near[0]!r}?" if near else ";"
    ) + f" known: {', '.join(listed) or 'none'}"
