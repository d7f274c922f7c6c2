"""Which errors say that memory ran out: torch has one of its own for GPUs, and a plain
`RuntimeError` for CPUs.
"""

from __future__ import annotations

import sys

from hnbench.errors import origins
from hnbench.files.escaping import printable

LONGEST = 500
"""Characters of an error's text that are shown."""
_TEXTS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a primitive",
)
"""What torch and oneDNN say in a `RuntimeError`."""
_OF_THE_SYSTEM = ("cannot allocate memory", "failed to map segment")
"""What the system says, in whatever error it ends up: of a file of weights, or of a module that is
imported.
"""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error is one of them, or came from one."""
    return any(_says_so(one) for one in origins(error))


def _says_so(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # without torch, none of its errors
    if isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    ):
        return True
    texts = _OF_THE_SYSTEM + (_TEXTS if isinstance(error, RuntimeError) else ())
    return any(text in _text(error).lower() for text in texts)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, printable and at most `LONGEST` characters; the error's
    type where it has no text.
    """
    lines = _text(error).strip().splitlines()
    return printable((lines or [type(error).__name__])[0])[:LONGEST]


def _text(error: BaseException) -> str:
    """The error's own words; it may be anybody's class, so even asking can fail."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return ""
