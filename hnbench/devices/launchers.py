"""The number of this process among those that a launcher started, by the launcher's environment.

No torch is imported here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.escaping import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

Names = tuple[str, str, str]
"""The variables of a process's number, the number of processes, and its number on its machine."""

TORCHRUN: Names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
"""Those of torchrun and accelerate."""
MPI: tuple[Names, ...] = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
)
"""Those of Open MPI; of MPICH and Intel MPI."""
MOST = 10**9
"""More processes, or tasks of an array, than any launcher can start."""


@dataclass(frozen=True)
class Rank:
    """The place of a process."""

    number: int
    """From 0."""
    count: int
    """The number of processes."""
    local: int | None
    """The number among the processes of its machine, from 0; None if the launcher does not say."""
    source: tuple[str, str]
    """The variables that say so."""


def rank_by(environment: Mapping[str, str], names: Names) -> Rank | None:
    """The place that these variables give; None if they are not set.

    >>> rank_by({"RANK": "1", "WORLD_SIZE": "8"}, TORCHRUN)
    Rank(number=1, count=8, local=None, source=('RANK', 'WORLD_SIZE'))
    """
    rank, size, local = names
    if not {rank, size} <= environment.keys():
        return None
    count = whole_number(environment, size, 1)
    return Rank(
        whole_number(environment, rank, 0, count - 1),
        count,
        whole_number(environment, local, 0) if local in environment else None,
        (rank, size),
    )


def whole_number(
    environment: Mapping[str, str], name: str, least: int, largest: int | None = None
) -> int:
    """The value of a variable; a `UsageError` unless it is a whole number in this range."""
    text = environment[name]
    most = MOST if largest is None else largest
    if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    wanted = f"from {least} to {largest}" if largest is not None else f"of at least {least}"
    raise UsageError(
        f"the environment variable {name} is {quoted(text)}; a whole number {wanted} is expected."
        " Unset it if no launcher started this process"
    )
