"""Which errors say that memory ran out: torch has one of its own for GPUs, and a plain
`RuntimeError` for CPUs.
"""

from __future__ import annotations

import sys

from hnbench.errors import origins
from hnbench.files.escaping import text_of

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
    return any(text in text_of(error).lower() for text in texts)
