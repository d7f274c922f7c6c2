"""A sign of life: every 30 seconds, and at once when SIGUSR1 arrives."""

from __future__ import annotations

import signal
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self

from hnbench.guards.out_of_memory import require_memory

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 30.0
"""Seconds between two signs."""
_SIGNAL: int | None = getattr(signal, "SIGUSR1", None)
"""Windows has no such signal."""


class Heartbeat:
    """Within a `with` block, calls `sign` from a thread of its own: every `every` seconds with
    False, and with True whenever SIGUSR1 arrives.

    The signal's handler is set only in the main thread, and only if nothing else handles the
    signal, which would otherwise end the process.
    """

    def __init__(self, sign: Callable[[bool], None], every: float = EVERY) -> None:
        self._sign, self._every = sign, every
        # A put into a SimpleQueue is allowed in a signal's handler, wherever that interrupts.
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._beat, name="hnbench-heartbeat", daemon=True)
        self._handles = False

    def __enter__(self) -> Self:
        self._handles = (
            _SIGNAL is not None
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(_SIGNAL) is signal.SIG_DFL
        )
        if self._handles and _SIGNAL is not None:
            signal.signal(_SIGNAL, lambda *_: self._asked.put(True))
        # Without memory for its first steps, a thread ends before it says that it runs, and `start`
        # would wait for it forever.
        require_memory()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handles and _SIGNAL is not None:
            signal.signal(_SIGNAL, signal.SIG_DFL)
        self._asked.put(False)
        self._thread.join()

    def _beat(self) -> None:
        while True:
            try:
                goes_on = self._asked.get(timeout=self._every)
            except Empty:
                self._sign(False)
                continue
            if not goes_on:
                return
            self._sign(True)
