"""Evolutionary search: its population and its children."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.candidates import Candidates
from hnbench.methods.evolution import Evolution, _Population
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import noises_for, tasks_of


def test_the_first_population_is_best_of_n() -> None:
    generator = ToyGenerator()
    tasks, noises, reward = tasks_of("a cat", "a dog"), noises_for(generator), BrightnessReward()
    search = Evolution(population=6, elites=3, generations=1)
    evolved = list(search.propose(tasks, generator, reward, noises))
    drawn = [
        one
        for one in BestOfN(n=6).propose(tasks, generator, reward, noises)
        if one.label == "best-of-6"
    ]
    for one, other in zip(evolved, drawn, strict=True):
        assert one.trajectory is not None
        assert one.trajectory[:6] == pytest.approx(other.trajectory, abs=1e-7)


class Numbers:
    """Noises from a seed, with a note of how many were drawn."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._generator, self._shape = torch.Generator().manual_seed(0), shape

    def __call__(self) -> Tensor:
        return torch.randn(self._shape, generator=self._generator, dtype=torch.float64)


def grown(search: Evolution, tasks: int) -> tuple[_Population, Numbers]:
    """A complete population whose noise k is all k, and whose score is k too."""
    fresh = Numbers((tasks, 40))
    first = Candidates(torch.zeros(tasks, 40).double(), torch.zeros(tasks), torch.zeros(tasks))
    rule = _Population(search, first, fresh)
    missing = rule.propose()
    assert missing.shape == (search.population - 1, tasks, 40)
    numbers = torch.arange(1.0, search.population, dtype=torch.float64)
    rule.learn(
        numbers[:, None, None].expand_as(missing), numbers[:, None].expand(-1, tasks).float()
    )
    return rule, fresh


def test_a_child_is_its_parent_and_something_new_in_the_stated_shares() -> None:
    search = Evolution(population=10, elites=4, mutation=0.2)
    rule, _ = grown(search, 2000)
    children = rule.propose()
    assert children.shape == (6, 2000, 40)
    parents = (children.mean(dim=2) / math.sqrt(1 - 0.04)).round()
    rest = children - math.sqrt(1 - 0.04) * parents[..., None]
    assert float(rest.std()) == pytest.approx(0.2, rel=0.01)
    # Of a random nine of ten, the best is the best of all nine times of ten, else the second.
    found = Counter(parents.flatten().tolist())
    assert set(found) == {9.0, 8.0}
    assert found[9.0] / 12_000 == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 12_000))


def test_the_elites_stay_and_the_others_are_replaced() -> None:
    search = Evolution(population=6, elites=2)
    rule, _ = grown(search, 3)
    rule.learn(torch.full((4, 3, 40), 50.0).double(), torch.full((4, 3), 2.5))
    assert sorted(rule._scores[:, 0].tolist()) == [2.5, 2.5, 2.5, 2.5, 4.0, 5.0]
    assert sorted(rule._noises[:, 0, 0].tolist()) == [4.0, 5.0, 50.0, 50.0, 50.0, 50.0]


def test_a_noise_with_too_few_numbers_is_skipped() -> None:
    assert Evolution().skip(ToyGenerator()) is None
    assert "fewer numbers" in (Evolution(population=40).skip(ToyGenerator()) or "")
