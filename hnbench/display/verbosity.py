"""How much a command tells its user: quiet, normal or verbose."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Verbosity = Literal["quiet", "normal", "verbose"]
"""`quiet`: results and errors only. `normal`: progress and notes too. `verbose`: also the details
of the work and the tracebacks of errors.
"""

_VERBOSITY: ContextVar[Verbosity] = ContextVar("verbosity", default="normal")


def is_quiet() -> bool:
    """Whether only results and errors are wanted."""
    return _VERBOSITY.get() == "quiet"


def is_verbose() -> bool:
    """Whether details and tracebacks are wanted."""
    return _VERBOSITY.get() == "verbose"


@contextmanager
def verbosity(chosen: Verbosity) -> Iterator[None]:
    """Within the block, commands tell this much."""
    before = _VERBOSITY.set(chosen)
    try:
        yield
    finally:
        _VERBOSITY.reset(before)
