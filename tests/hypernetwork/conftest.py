from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from hnbench.guards.interrupts import heed_sigterm


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of the command line."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    heed_sigterm()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
