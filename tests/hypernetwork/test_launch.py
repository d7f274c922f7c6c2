"""A launcher's environment, and batches for several processes."""

from __future__ import annotations

import pytest

from hnbench.errors import UsageError
from hnbench.hypernetwork.launch import TrainingProcess, is_alone_by_mistake, launched

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, TrainingProcess()),
        (TORCHRUN, TrainingProcess(5, 8, 1, ("RANK", "WORLD_SIZE"))),
        ({"RANK": "1", "WORLD_SIZE": "2"}, TrainingProcess(1, 2, 1, ("RANK", "WORLD_SIZE"))),
        ({"RANK": "0", "WORLD_SIZE": "1"}, TrainingProcess(source=("RANK", "WORLD_SIZE"))),
        ({"RANK": "0"}, TrainingProcess()),
        (
            {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", **TORCHRUN},
            TrainingProcess(5, 8, 1, ("RANK", "WORLD_SIZE")),
        ),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, TrainingProcess(1, 2, 1, ("PMI_RANK", "PMI_SIZE"))),
    ],
)
def test_the_environment_says_which_process_this_is(
    environment: dict[str, str], wanted: TrainingProcess
) -> None:
    assert launched(environment) == wanted
    assert wanted.main == (wanted.index == 0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'; a whole number of at least 1"),
        ({"RANK": "-1"}, "RANK is '-1'; a whole number from 0"),
        ({"RANK": "two"}, "RANK is 'two'"),
        ({"RANK": "²"}, "RANK is '²'"),
        ({"RANK": "8"}, "RANK is '8'; a whole number from 0 to 7"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK is ''"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is '999"),
    ],
)
def test_a_wrong_environment_is_one_line(changes: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        launched(TORCHRUN | changes)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500"}, True),
        ({"ACCELERATE_USE_CPU": "True"}, False),
        ({"ACCELERATE_USE_CPU": "False", "MASTER_PORT": "29500"}, False),
        ({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500", **TORCHRUN}, False),
        ({}, False),
    ],
)
def test_one_process_in_place_of_several_is_noticed(
    environment: dict[str, str], wanted: bool
) -> None:
    assert is_alone_by_mistake(environment) is wanted


@pytest.mark.parametrize(
    ("batch", "accumulation", "count", "advice"),
    [
        (3, 18, 2, "`batch_size` 6 with `accumulation` 9 has as many images"),
        (3, 18, 4, "choose a multiple of 4"),
        (3, 6, 6, "`batch_size` 6 with `accumulation` 3"),
        (28, 1, 8, "choose a multiple of 8"),
    ],
)
def test_an_uneven_batch_says_what_would_do(
    batch: int, accumulation: int, count: int, advice: str
) -> None:
    with pytest.raises(UsageError, match=f"`batch_size` was {batch}, which is the batch of all"):
        TrainingProcess(0, count).require_divisible(batch, accumulation)
    with pytest.raises(UsageError) as caught:
        TrainingProcess(0, count).require_divisible(batch, accumulation)
    assert str(caught.value).count(advice) == 1


def test_an_even_batch_is_fine() -> None:
    TrainingProcess().require_divisible(3, 1)
    TrainingProcess(3, 4).require_divisible(8, 1)
