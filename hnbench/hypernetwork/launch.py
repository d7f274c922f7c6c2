"""The place of this process among those that a launcher started for one training, as the launcher's
environment says it. No torch is imported here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.devices.launchers import MPI, TORCHRUN, rank_by
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TrainingProcess:
    """One process of a training."""

    index: int = 0
    """The number of this process, from 0."""
    count: int = 1
    """The number of processes."""
    local: int = 0
    """The number of this process among those on its machine."""
    source: tuple[str, ...] = ()
    """The variables of the environment that say so; none without a launcher."""

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and shows everything."""
        return self.index == 0

    def require_divisible(self, batch_size: int, accumulation: int) -> None:
        """Raise a `UsageError` unless every process gets equally many images of a batch."""
        if batch_size % self.count == 0:
            return
        images = batch_size * accumulation
        fitting = [
            size
            for size in range(batch_size, images + 1)
            if size % self.count == 0 and images % size == 0
        ]
        advice = (
            f"`batch_size` {fitting[0]} with `accumulation` {images // fitting[0]} has as many"
            " images per step"
            if fitting
            else f"choose a multiple of {self.count}"
        )
        raise UsageError(
            f"`batch_size` was {batch_size}, which is the batch of all processes together and"
            f" cannot be split evenly among {self.count}; {advice}"
        )

    def __str__(self) -> str:
        return f"{self.count} processes ({', '.join(self.source)})"


def launched(environment: Mapping[str, str] = os.environ) -> TrainingProcess:
    """The place of this process by the environment; a process of its own without a launcher.
    Values that are not such numbers are a `UsageError`.
    """
    found = (rank_by(environment, names) for names in (TORCHRUN, *MPI))
    rank = next((one for one in found if one), None)
    if rank is None:
        return TrainingProcess()
    local = rank.number if rank.local is None else rank.local
    return TrainingProcess(rank.number, rank.count, local, rank.source)


def is_alone_by_mistake(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether accelerate was asked for several processes on a CPU and started one: without MPI it
    does so without a word.
    """
    asked = environment.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in environment
    return asked and not launched(environment).source
