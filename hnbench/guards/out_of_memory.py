"""Recognises errors that mean lack of memory, and keeps enough of it to say so: torch has an error
of its own for GPUs, but raises a plain `RuntimeError` for CPUs.
"""

from __future__ import annotations

import sys
import traceback
from mmap import mmap

from hnbench.errors import origins
from hnbench.files.escaping import text_of

_TEXTS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a primitive",
)
"""Texts of torch and oneDNN in a `RuntimeError`."""
_OF_THE_SYSTEM = ("cannot allocate memory", "failed to map segment")
"""Texts of the system, which may end up in any error: while weights are loaded, or a module is
imported.
"""
_OF_PYTHON = "error return without exception set"
"""The text of a `SystemError` if Python finds no memory for a frame, and then none for an exception
that says so.
"""
KINDS = (RuntimeError, MemoryError, SystemError)
"""The exceptions that lack of memory can be, to be told apart by `is_out_of_memory`."""
_RESERVE = 4_000_000
"""Bytes: enough to print a message. Nothing writes to them, so most systems only count them."""
_reserved: list[bytearray] = []


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means lack of memory, or came from one that does."""
    return any(_says_so(one) for one in origins(error))


def _says_so(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # not imported here: without torch, it is none of its errors
    if isinstance(error, MemoryError) or (
        torch is not None and isinstance(error, torch.OutOfMemoryError)
    ):
        return True
    if isinstance(error, SystemError) and _OF_PYTHON in str(error):
        return True
    texts = _OF_THE_SYSTEM + (_TEXTS if isinstance(error, RuntimeError) else ())
    return any(text in text_of(error).lower() for text in texts)


def require_memory() -> None:
    """Raise a `MemoryError` unless the system gives as much as the reserve, which is given back."""
    try:
        mmap(-1, _RESERVE).close()
    except OSError as error:
        raise MemoryError from error


def keep_reserve() -> None:
    """Set memory aside until `free_memory`, once: a message about lack of memory needs some."""
    if not _reserved:
        _reserved.append(bytearray(_RESERVE))


def free_memory(error: BaseException) -> None:
    """Free the reserve and all that an error keeps: the variables of the functions that it ended.
    Its traceback can still be printed.
    """
    _reserved.clear()
    for one in origins(error):
        traceback.clear_frames(one.__traceback__)


def hide_in_finalizers() -> None:
    """Show no lack of memory that Python meets while it removes objects. There is no other way to
    handle it, and the error that the lack of memory raised elsewhere is shown.
    """
    shown = sys.unraisablehook

    def hook(error: sys.UnraisableHookArgs) -> None:
        if not issubclass(error.exc_type, MemoryError):
            shown(error)

    sys.unraisablehook = hook
