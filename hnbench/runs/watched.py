"""A meter that tells about passes through the generator, so that a display moves within a batch.

Nothing waits for the device: a pass is told of when it is asked for, as it is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.metering import Meter

if TYPE_CHECKING:
    from collections.abc import Callable


class WatchedMeter(Meter):
    """A meter that calls `told` with the number of passes through the generator so far, forward and
    backward, whenever it grows. Backward passes can be told of from another thread.
    """

    def __init__(self, told: Callable[[int], None]) -> None:
        super().__init__()
        self._told = told

    def _add(self, name: str, passes: int) -> None:
        super()._add(name, passes)
        if name.startswith("generator"):
            self._told(self.generator_forward + self.generator_backward)
