"""Which errors say that memory ran out: torch has one of its own for GPUs, and a plain `RuntimeError` for CPUs."""

from __future__ import annotations

import sys

_TEXTS = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error is one of them."""
    torch = sys.modules.get("torch")  # without torch, none of its errors
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _TEXTS)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, at most 500 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
