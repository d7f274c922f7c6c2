"""Which part of a run a process has, and that the parts are the whole."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from hnbench.errors import UsageError
from hnbench.runs.plan import Plan
from hnbench.runs.shards import Shard, parse_shard, place_of_process
from tests.runs.test_store import MANIFEST


def plan_of(prompts: int, samples: int = 2) -> Plan:
    listed = [
        {"id": f"a/{number}", "text": f"text {number}", "tag": "a", "samples": samples}
        for number in range(prompts)
    ]
    return Plan.from_manifest({**MANIFEST, "plan": {**MANIFEST["plan"], "prompts": listed}})


@pytest.mark.parametrize("prompts", [1, 2, 7, 12])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_the_shards_are_the_plan_and_share_nothing(prompts: int, count: int) -> None:
    plan = plan_of(prompts)
    parts = [Shard(index + 1, count).tasks(plan) for index in range(count)]
    assert sorted(task for part in parts for task in part) == sorted(plan.tasks)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 2, "one prompt more at most"
    for part in parts:
        assert part == [task for task in plan.tasks if task in set(part)], "in the plan's order"
        # All samples of a prompt are together.
        assert len(part) == 2 * len({task.prompt_id for task in part})


def test_prompt_number_j_belongs_to_shard_j_modulo_n_plus_1() -> None:
    plan = plan_of(7)
    assert Shard(1, 3).prompts(plan) == {"a/0", "a/3", "a/6"}
    assert Shard(3, 3).prompts(plan) == {"a/2", "a/5"}


def test_a_shard_splits_into_its_own_prompts() -> None:
    plan = plan_of(31)
    for index, count, parts in [(1, 1, 4), (2, 3, 2), (3, 3, 5)]:
        whole = Shard(index, count)
        pieces = [part.prompts(plan) for part in whole.split(parts)]
        assert frozenset().union(*pieces) == whole.prompts(plan)
        assert sum(map(len, pieces)) == len(whole.prompts(plan))


@pytest.mark.parametrize("text", ["1/1", "1/8", "8/8", "3/12"])
def test_a_shard_is_read_as_it_is_shown(text: str) -> None:
    assert str(parse_shard(text)) == text


@pytest.mark.parametrize("text", ["", "0/8", "9/8", "1", "1/0", "a/b", "-1/8", "1/8/2", "1 / 8"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"`shard` was .*from 1/8 to 8/8"):
        parse_shard(text)


TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
STEP = {
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "2",
    "SLURM_NTASKS": "16",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_LOCALID": "2",
}
BATCH_SCRIPT = {"SLURM_PROCID": "0", "SLURM_NTASKS": "16", "SLURM_LOCALID": "0"}
INTERACTIVE = {**BATCH_SCRIPT, "SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"}
ARRAY = {
    "SLURM_ARRAY_TASK_ID": "11",
    "SLURM_ARRAY_TASK_MIN": "10",
    "SLURM_ARRAY_TASK_MAX": "17",
    "SLURM_ARRAY_TASK_STEP": "1",
    "SLURM_ARRAY_TASK_COUNT": "8",
}
STEPPED = {
    **ARRAY,
    "SLURM_ARRAY_TASK_ID": "16",
    "SLURM_ARRAY_TASK_STEP": "3",
    "SLURM_ARRAY_TASK_COUNT": "3",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
INTEL_MPI = {"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALRANKID": "0"}
SGE = {"SGE_TASK_ID": "4", "SGE_TASK_FIRST": "2", "SGE_TASK_LAST": "8", "SGE_TASK_STEPSIZE": "2"}
LSF = {"LSB_JOBINDEX": "3", "LSB_JOBINDEX_END": "9", "LSB_JOBINDEX_STEP": "1"}


@pytest.mark.parametrize(
    ("environment", "shard", "local", "source"),
    [
        (TORCHRUN, "6/8", 1, "from RANK and WORLD_SIZE"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "1/2", None, "from RANK and WORLD_SIZE"),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, "1/1", 0, None),
        ({"RANK": "3"}, "1/1", None, None),
        (STEP, "3/16", 2, "from SLURM_PROCID and SLURM_STEP_NUM_TASKS"),
        (
            {"SLURM_STEPID": "0", "SLURM_PROCID": "2", "SLURM_NTASKS": "4"},
            "3/4",
            None,
            "from SLURM_PROCID and SLURM_NTASKS",
        ),
        (BATCH_SCRIPT, "1/1", None, None),
        (INTERACTIVE, "1/1", None, None),
        ({**STEP, **TORCHRUN}, "6/8", 1, "from RANK and WORLD_SIZE"),
        ({**ARRAY, **STEP}, "3/16", 2, "from SLURM_PROCID and SLURM_STEP_NUM_TASKS"),
        # One task a job: its step and its batch script say nothing, the array does.
        (
            {**ARRAY, **INTERACTIVE},
            "2/8",
            None,
            "from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_MAX",
        ),
        (OPEN_MPI, "2/4", 1, "from OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE"),
        (INTEL_MPI, "4/4", 0, "from PMI_RANK and PMI_SIZE"),
        (
            {**ARRAY, "PMI_RANK": "0", "PMI_SIZE": "1"},
            "2/8",
            None,
            "from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_MAX",
        ),
        (ARRAY, "2/8", None, "from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_MAX"),
        (STEPPED, "3/3", None, "from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_MAX"),
        (SGE, "2/4", None, "from SGE_TASK_ID and SGE_TASK_LAST"),
        ({**SGE, "SGE_TASK_ID": "undefined"}, "1/1", None, None),
        (LSF, "3/9", None, "from LSB_JOBINDEX and LSB_JOBINDEX_END"),
        ({**LSF, "LSB_JOBINDEX": "0"}, "1/1", None, None),
        ({"PBS_ARRAY_INDEX": "3"}, "1/1", None, None),
        ({}, "1/1", None, None),
    ],
)
def test_the_launcher_says_which_part(
    environment: Mapping[str, str], shard: str, local: int | None, source: str | None
) -> None:
    place = place_of_process(None, environment)
    assert (str(place.shard), place.local_rank) == (shard, local)
    assert place.notes == ((f"{place.shard.name}, {source}",) if source else ())


def test_what_is_typed_is_not_looked_up() -> None:
    place = place_of_process("2/3", {**TORCHRUN, **STEP, "RANK": "nonsense"})
    assert (str(place.shard), place.local_rank, place.notes) == ("2/3", None, ())


@pytest.mark.parametrize(
    ("environment", "change", "named"),
    [
        (TORCHRUN, {"RANK": "8"}, "RANK is '8'; a whole number from 0 to 7"),
        (TORCHRUN, {"RANK": "-1"}, "RANK is '-1'"),
        (TORCHRUN, {"RANK": "1", "WORLD_SIZE": "1"}, "RANK is '1'; a whole number from 0 to 0"),
        (TORCHRUN, {"WORLD_SIZE": "many"}, "WORLD_SIZE is 'many'; a whole number of at least 1"),
        (TORCHRUN, {"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        (TORCHRUN, {"LOCAL_RANK": ""}, "LOCAL_RANK is ''"),
        (STEP, {"SLURM_PROCID": "x"}, "SLURM_PROCID is 'x'"),
        (ARRAY, {"SLURM_ARRAY_TASK_ID": "18"}, "SLURM_ARRAY_TASK_ID is '18'"),
        (ARRAY, {"SLURM_ARRAY_TASK_COUNT": "3"}, "SLURM_ARRAY_TASK_ID is 11, but the tasks"),
        (STEPPED, {"SLURM_ARRAY_TASK_ID": "15"}, "SLURM_ARRAY_TASK_ID is 15, but the tasks"),
        (SGE, {"SGE_TASK_LAST": "1"}, "SGE_TASK_LAST is '1'"),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(
    environment: Mapping[str, str], change: Mapping[str, str], named: str
) -> None:
    with pytest.raises(UsageError) as caught:
        place_of_process(None, {**environment, **change})
    assert named in str(caught.value)
    assert "Unset it if no launcher" in str(caught.value) or "give `shard`" in str(caught.value)


def test_overlap_is_that_of_the_prompts() -> None:
    """The rule by the greatest common divisor against brute force."""
    from hnbench.files.sharing import _overlap

    dice = random.Random(0)
    for _ in range(300):
        one, other = (
            (dice.randint(1, count), count) for count in (dice.randint(1, 12), dice.randint(1, 12))
        )
        numbers = range(one[1] * other[1])
        both = [n for n in numbers if Shard(*one).has(n) and Shard(*other).has(n)]
        assert _overlap(one, other) == bool(both), (one, other)
