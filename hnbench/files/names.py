"""File names from any text: a prompt file's name, a model's address, a method's label."""

from __future__ import annotations

import hashlib
import re

LONGEST = 240
"""The largest number of bytes in a name. File systems allow 255; the rest is for endings that are
appended while writing, such as `.tmp`.
"""
_RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10)),
}
"""Names that Windows takes for devices, with any ending: `nul.txt` is not a file."""


OF_MODELS = "=,@+"
"""The further characters to keep in names of models and suites with their options (`also` of
`plain_name`).
"""


def plain_name(text: str, *, ending: str = "", also: str = "") -> str:
    """The text as one plain file name on Linux, macOS and Windows: ASCII letters, digits, `-`, `_`
    and `.`, and the characters of `also`.

    `:` becomes `-`, any other character becomes `_`. The name does not begin with a dot or a dash,
    and has at most `LONGEST` bytes. It ends in `ending`, which must be plain already; a text that
    is too long is cut, with a hash of it before the ending. Different texts can have the same name:
    see `distinct_name`.

    >>> plain_name("a/b: c")
    'a_b-_c'
    """
    kept = re.sub(rf"[^A-Za-z0-9._{re.escape(also)}-]", "_", text.replace(":", "-")).lstrip(".-")
    if f"{kept}{ending}".partition(".")[0].upper() in _RESERVED:
        kept = f"_{kept}"
    if len(kept) + len(ending) > LONGEST:
        ending = f"-{_hash(text)}{ending}"
    # Windows drops dots at the end of a name.
    return f"{kept[: LONGEST - len(ending)]}{ending}".rstrip(".") or "_"


def distinct_name(text: str, *, also: str = "") -> str:
    """The plain name; if it is not the text itself, the beginning of the text's SHA-256 is added,
    so that different texts have different names.
    """
    name = plain_name(text, also=also)
    return name if name == text else plain_name(text, ending=f"-{_hash(text)}", also=also)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
