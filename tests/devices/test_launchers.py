"""The place of a process by its launcher's environment."""

from __future__ import annotations

import pytest

from hnbench.devices.launchers import MPI, TORCHRUN, Names, Rank, rank_by, whole_number
from hnbench.errors import UsageError


@pytest.mark.parametrize("names", [TORCHRUN, *MPI])
def test_each_launcher_says_number_count_and_place_on_the_machine(names: Names) -> None:
    environment = dict(zip(names, ("5", "8", "1"), strict=True))
    assert rank_by(environment, names) == Rank(5, 8, 1, (names[0], names[1]))
    del environment[names[2]]
    assert rank_by(environment, names) == Rank(5, 8, None, (names[0], names[1]))
    del environment[names[1]]
    assert rank_by(environment, names) is None


@pytest.mark.parametrize("text", ["", "x", "-1", "8", "1.0", "٣", " 1", "1" * 10])
def test_a_number_that_cannot_be_used_is_named_with_its_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"variable RANK is .*a whole number from 0 to 7 is"):
        rank_by({"RANK": text, "WORLD_SIZE": "8"}, TORCHRUN)


def test_a_number_without_a_largest_one() -> None:
    assert whole_number({"SIZE": "12"}, "SIZE", 1) == 12
    with pytest.raises(UsageError, match="SIZE is '0'; a whole number of at least 1 is expected"):
        whole_number({"SIZE": "0"}, "SIZE", 1)
