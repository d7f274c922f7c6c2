"""File names made of any text: of a prompt file's name, a model's address, a method's label."""

from __future__ import annotations

import hashlib
import re

LONGEST = 240
"""Bytes of a name. File systems take 255; the rest is for what a program appends while it writes,
for example `.tmp`.
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
"""The characters that names of models and suites with their options keep, in addition to letters,
digits, `-`, `_` and `.`.
"""


def plain_name(text: str, *, ending: str = "", also: str = "") -> str:
    """The text as one plain file name on Linux, macOS and Windows: ASCII letters, digits, `-`, `_`
    and `.`, and the characters of `also`.

    `:` becomes `-`, everything else becomes `_`. The name does not begin with a dot or a dash, and
    has at most `LONGEST` bytes. It ends in `ending`, which is plain already; a text that is too
    long is cut, and a hash of it stands before the ending. Different texts can have the same name:
    see `distinct_name`.
    """
    kept = re.sub(rf"[^A-Za-z0-9._{re.escape(also)}-]", "_", text.replace(":", "-")).lstrip(".-")
    if f"{kept}{ending}".partition(".")[0].upper() in _RESERVED:
        kept = f"_{kept}"
    if len(kept) + len(ending) > LONGEST:
        ending = f"-{_hash(text)}{ending}"
    return f"{kept[: LONGEST - len(ending)]}{ending}".rstrip(".") or "_"


def distinct_name(text: str, *, also: str = "") -> str:
    """The same, with the beginning of the text's SHA-256 at the end where the plain name is not the
    text itself.
    """
    name = plain_name(text, also=also)
    return name if name == text else plain_name(text, ending=f"-{_hash(text)}", also=also)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
