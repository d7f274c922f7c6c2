"""Shards: the parts of a run that several processes compute at the same time.

Shard `index` of `count` has every prompt of the plan whose number leaves the remainder `index - 1`
when it is divided by `count`. All methods of a prompt belong to its shard, so the base, which every
other method is compared with, is always there. A shard decides who computes a record, and never
which record it is: it enters no identity and no plan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.devices.launchers import MPI, TORCHRUN, Names, rank_by, whole_number
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.runs.plan import Plan
    from hnbench.tasks import Task


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 1) of `count` of a run."""

    index: int
    count: int

    def __str__(self) -> str:
        """As it is typed.

        >>> str(Shard(2, 3))
        '2/3'
        """
        return f"{self.index}/{self.count}"

    @property
    def whole(self) -> bool:
        """Whether it is the whole run."""
        return self.count == 1

    @property
    def name(self) -> str:
        """The shard in a sentence.

        >>> Shard(2, 3).name
        'shard 2 of 3'
        """
        return f"shard {self.index} of {self.count}"

    def has(self, number: int) -> bool:
        """Whether piece `number` (from 0) of the work belongs to this shard.

        >>> [number for number in range(7) if Shard(2, 3).has(number)]
        [1, 4]
        """
        return number % self.count == self.index - 1

    def prompts(self, plan: Plan) -> frozenset[str]:
        """The ids of its prompts."""
        return frozenset(
            prompt.id for number, prompt in enumerate(plan.prompts) if self.has(number)
        )

    def tasks(self, plan: Plan) -> list[Task]:
        """Its tasks, in the order of the plan."""
        prompts = self.prompts(plan)
        return [task for task in plan.tasks if task.prompt_id in prompts]

    def split(self, parts: int) -> list[Shard]:
        """The same prompts as `parts` smaller shards.

        >>> [str(shard) for shard in Shard(2, 3).split(2)]
        ['2/6', '5/6']
        """
        return [Shard(self.index + self.count * part, self.count * parts) for part in range(parts)]


WHOLE = Shard(1, 1)


@dataclass(frozen=True)
class Place:
    """The part of the work that this process has, and how that is known."""

    shard: Shard = WHOLE
    source: str = ""
    """The environment variables that say so; empty if there are none, or if the user chose."""
    local_rank: int | None = None
    """The number of this process among those of its machine, from 0."""

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for the user, if several processes were found."""
        return (f"{self.shard.name}, {self.source}",) if self.source and self.shard != WHOLE else ()


def place_of_process(typed: str | None, environment: Mapping[str, str]) -> Place:
    """The shard that was asked for or, without one, that of the launcher that started this process.

    Read are, first match: `RANK` and `WORLD_SIZE` (torchrun, accelerate), the variables of MPI, a
    step of SLURM, an array task of SLURM, Grid Engine or LSF. Without any of them, it is the whole
    run. `UsageError` for values that cannot be used.

    >>> place_of_process(None, {"RANK": "1", "WORLD_SIZE": "8"}).notes
    ('shard 2 of 8, from RANK and WORLD_SIZE',)
    >>> place_of_process("1/1", {"RANK": "1", "WORLD_SIZE": "8"}).shard.whole
    True
    """
    if typed is not None:
        return Place(parse_shard(typed))
    found = (read(environment) for read in _READERS)
    return next((place for place in found if place), Place())


def parse_shard(text: str) -> Shard:
    """The shard that was typed as `i/n`; anything else is a `UsageError`."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(
            f"`shard` was {text!r}; give its number and the number of shards, from 1/8 to 8/8 if"
            " there are 8"
        )
    return Shard(int(found[1]), int(found[2]))


def _of_torchrun(environment: Mapping[str, str]) -> Place | None:
    return _ranked(environment, TORCHRUN)


def _of_mpi(environment: Mapping[str, str]) -> Place | None:
    # SLURM sets PMI's for a single task too, which may be one of an array.
    found = (_ranked(environment, names) for names in MPI if environment.get(names[1]) != "1")
    return next((place for place in found if place), None)


def _of_slurm_step(environment: Mapping[str, str]) -> Place | None:
    """The task of `srun`. A batch script and an interactive shell have some of these variables too,
    but are not steps of several tasks.
    """
    size = next((name for name in _STEP_SIZES if name in environment), None)
    in_step = not {"SLURM_STEP_ID", "SLURM_STEPID"}.isdisjoint(environment)
    if size is None or not in_step or "SLURM_PROCID" not in environment or environment[size] == "1":
        return None
    return _ranked(environment, ("SLURM_PROCID", size, "SLURM_LOCALID"))


_STEP_SIZES = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")


def _ranked(environment: Mapping[str, str], names: Names) -> Place | None:
    rank = rank_by(environment, names)
    if rank is None:
        return None
    return Place(
        Shard(rank.number + 1, rank.count), f"from {' and '.join(rank.source)}", rank.local
    )


@dataclass(frozen=True)
class _Array:
    """The variables of a scheduler for the tasks of an array."""

    task: str
    last: str
    first: str | None
    step: str
    unused: tuple[str, ...]
    """The values of `task` outside of an array."""


_ARRAYS = (
    _Array(
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_STEP",
        (),
    ),
    _Array("SGE_TASK_ID", "SGE_TASK_LAST", "SGE_TASK_FIRST", "SGE_TASK_STEPSIZE", ("undefined",)),
    _Array("LSB_JOBINDEX", "LSB_JOBINDEX_END", None, "LSB_JOBINDEX_STEP", ("0",)),
)
"""PBS does not say how many tasks an array has, so it is not among them."""


def _of_array(environment: Mapping[str, str]) -> Place | None:
    for array in _ARRAYS:
        value = environment.get(array.task)
        if value is not None and value not in array.unused and array.last in environment:
            return _of_task(environment, array)
    return None


def _of_task(environment: Mapping[str, str], array: _Array) -> Place:
    first = 1
    if array.first is not None and array.first in environment:
        first = whole_number(environment, array.first, 0)
    step = whole_number(environment, array.step, 1) if array.step in environment else 1
    last = whole_number(environment, array.last, first)
    task = whole_number(environment, array.task, first, last)
    count = (last - first) // step + 1
    # SLURM says how many tasks there are, and an array such as 1,3,7 has fewer than its ends say.
    said = environment.get("SLURM_ARRAY_TASK_COUNT") if array.task.startswith("SLURM") else None
    if (task - first) % step or said not in (None, str(count)):
        raise UsageError(
            f"{array.task} is {task}, but the tasks of this array do not follow each other; give"
            " `shard`, or an array such as 1-8"
        )
    names = [array.task] if count == 1 else [array.task, array.last]
    return Place(Shard((task - first) // step + 1, count), f"from {' and '.join(names)}")


_READERS = (_of_torchrun, _of_mpi, _of_slurm_step, _of_array)
