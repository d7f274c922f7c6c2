"""The place of this process among those that a launcher started for one training, as the launcher's
environment says it. No torch is imported here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.escaping import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
)
"""Names of a process's number, of the number of processes, and of its number on its machine. The
first are torchrun's and accelerate's; the others are those of MPI, which accelerate uses for
several processes on a CPU.
"""


@dataclass(frozen=True)
class Launch:
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


def launched(environment: Mapping[str, str] = os.environ) -> Launch:
    """The place of this process by the environment; a process of its own without a launcher.
    Values that are not such numbers are a `UsageError`.
    """
    for index, count, local in LAUNCHERS:
        if index in environment and count in environment:
            return _read(environment, index, count, local)
    return Launch()


def is_alone_by_mistake(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether accelerate was asked for several processes on a CPU and started one: without MPI it
    does so without a word.
    """
    asked = environment.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in environment
    return asked and not launched(environment).source


def _read(environment: Mapping[str, str], index: str, count: str, local: str) -> Launch:
    processes = _number(environment, count, 1)
    if processes == 1:
        return Launch(source=(index, count))
    number = _number(environment, index, 0)
    if number >= processes:
        raise UsageError(
            f"the environment says {index}={number} and {count}={processes}; the first must be the"
            " smaller one; start the processes with torchrun or accelerate launch"
        )
    own = _number(environment, local, 0) if local in environment else number
    return Launch(number, processes, own, (index, count))


def _number(environment: Mapping[str, str], name: str, least: int) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise UsageError(
            f"the environment says {name}={quoted(text)}; it must be a whole number of at least"
            f" {least}; unset it, or start the processes with torchrun or accelerate launch"
        )
    return int(text)
