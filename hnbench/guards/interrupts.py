"""Ctrl-C, and SIGTERM, which a scheduler or a container sends before it kills: both end the work in
the same orderly way.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminated(KeyboardInterrupt):
    """The exception for SIGTERM. Whatever handles a Ctrl-C handles it too."""


def exit_code_of(interrupt: KeyboardInterrupt) -> int:
    """128 plus the signal's number, as in shells: 143 for SIGTERM, 130 for Ctrl-C."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise Terminated


_RAISING = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate}
"""The handlers that raise, by signal."""


def heed_sigterm() -> None:
    """Make SIGTERM raise `Terminated` in the main thread of this process, unless it already has a
    handler.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _terminate)


class Noted:
    """A Ctrl-C or SIGTERM that was noted instead of raised."""

    number = 0
    """The signal's number; 0 for none so far."""


def interrupted_by(number: int) -> NoReturn:
    """Raise the exception of Ctrl-C or SIGTERM."""
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def interrupt_noted() -> Iterator[Noted]:
    """Note a first Ctrl-C or SIGTERM within the block, and raise nothing; a second one interrupts
    at once.
    """
    noted = Noted()
    # Only the main thread can set handlers, and only it receives signals.
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    # Handlers that something else installed are left alone.
    held = {
        number: handler
        for number, handler in _RAISING.items()
        if signal.getsignal(number) is handler
    }

    def give_back() -> None:
        for number, handler in held.items():
            signal.signal(number, handler)

    def note(number: int, _frame: object) -> None:
        noted.number = number
        give_back()

    for number in held:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        give_back()


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Delay a first Ctrl-C or SIGTERM until the block has ended; a second one interrupts at
    once.
    """
    with interrupt_noted() as noted:
        yield
    if noted.number:
        interrupted_by(noted.number)
