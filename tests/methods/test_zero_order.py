"""Zero-order search against the formula, written out for one noise at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hnbench.methods.zero_order import ZeroOrder, neighbour
from hnbench.testing.toys import ToyGenerator
from tests.methods.linear import (
    LinearGenerator,
    LinearReward,
    NearnessReward,
    noises_for,
    tasks_of,
)


@pytest.mark.parametrize("cosine", [0.95, 0.0, -0.4, 0.999])
def test_a_neighbour_has_the_norm_and_the_cosine(cosine: float) -> None:
    noise = torch.randn(5, 3, 4, 4, dtype=torch.float64)
    found = neighbour(noise, torch.randn_like(noise), cosine)
    one, other = noise.flatten(1), found.flatten(1)
    torch.testing.assert_close(other.norm(dim=1), one.norm(dim=1), rtol=1e-13, atol=0)
    between = (one * other).sum(dim=1) / one.norm(dim=1) ** 2
    torch.testing.assert_close(between, torch.full_like(between, cosine), rtol=1e-12, atol=1e-13)
    distance = (one - other).norm(dim=1) / one.norm(dim=1)
    expected = torch.full_like(distance, math.sqrt(2 - 2 * cosine))
    torch.testing.assert_close(distance, expected, rtol=1e-12, atol=0)


def test_the_directions_of_neighbours_have_no_preference() -> None:
    noise = torch.zeros(1, 3)
    noise[0, 0] = 2.0
    found = neighbour(noise.expand(20_000, 3), torch.randn(20_000, 3), 0.8)
    angle = torch.atan2(found[:, 1], found[:, 2])
    # The mean of a uniform direction is 0, with a deviation of sqrt(1/2) in each coordinate.
    for mean in (angle.sin().mean(), angle.cos().mean()):
        assert abs(float(mean)) < 4 * math.sqrt(0.5 / 20_000)


def by_hand(
    draws: list[np.ndarray], target: np.ndarray, search: ZeroOrder
) -> tuple[np.ndarray, list[float]]:
    """The best noise and all scores, for the reward -|x - target|^2 / 2."""

    def score(noise: np.ndarray) -> float:
        return float(-0.5 * ((noise - target) ** 2).sum())

    numbers = iter(draws)
    pivot = next(numbers)
    at, scores = score(pivot), [score(pivot)]
    tried = [(scores[0], pivot)]
    for index in range(search.rounds):
        if search.restart and index:
            at = score(pivot)
            scores.append(at)
            tried.append((at, pivot))
        found = []
        for _ in range(search.neighbours):
            drawn, length = next(numbers), np.linalg.norm(pivot)
            unit = pivot / length
            across = drawn - (drawn @ unit) * unit
            across /= np.linalg.norm(across)
            step = np.sqrt(1 - search.cosine**2)
            found.append(length * (search.cosine * unit + step * across))
        scored = [(score(one), one) for one in found]
        scores += [one for one, _ in scored]
        tried += scored
        best = max(scored, key=lambda one: one[0])
        other = next(numbers) if search.restart else pivot
        pivot, at = (best[1], best[0]) if best[0] > at else (other, at)
    return max(tried, key=lambda one: one[0])[1], scores


@pytest.mark.parametrize("restart", [False, True])
def test_it_is_the_formula(restart: bool) -> None:
    search = ZeroOrder(neighbours=4, rounds=6, cosine=0.9, restart=restart)
    target = torch.linspace(-2, 2, 12, dtype=torch.float64)
    generator = LinearGenerator(torch.eye(12, dtype=torch.float64))
    tasks, noises = tasks_of("a cat", "a dog", samples=3), noises_for(ToyGenerator())
    noises = noises_for(generator)
    for outcome in search.propose(tasks, generator, NearnessReward(target), noises):
        draws = [
            noises.draw(outcome.task, candidate).double().numpy().ravel() for candidate in range(60)
        ]
        expected, scores = by_hand(draws, target.numpy(), search)
        assert outcome.trajectory == pytest.approx(scores, rel=1e-9)
        np.testing.assert_allclose(outcome.noise.numpy().ravel(), expected, rtol=1e-9)


def test_the_norm_never_changes() -> None:
    generator = LinearGenerator(torch.eye(12, dtype=torch.float64))
    tasks, noises = tasks_of("a cat", samples=4), noises_for(generator)
    reward = LinearReward(torch.ones(12, dtype=torch.float64))
    for outcome in ZeroOrder(rounds=20).propose(tasks, generator, reward, noises):
        start = noises.draw(outcome.task).double().norm()
        torch.testing.assert_close(outcome.noise.norm(), start, rtol=1e-12, atol=0)
