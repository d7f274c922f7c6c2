"""The hybrid gradient against its formula on a linear generator, and against the exact gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from hnbench.methods.base import Outcome
from hnbench.methods.hybrid import Hybrid
from hnbench.rewards.base import Reward
from hnbench.seeds import digest
from tests.methods.linear import LinearGenerator, LinearReward, noises_for, tasks_of

MATRIX = torch.eye(12, dtype=torch.float64) + 0.3 * torch.randn(
    12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
)
DIRECTION = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64)
TASKS = tasks_of("a cat", "a dog")


class WithoutGradient(Reward):
    """Another reward, of which only the values are known."""

    name = "without gradient"
    fingerprint = digest("without gradient")

    def __init__(self, inner: Reward) -> None:
        self.inner = inner

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.inner.score(images.detach(), prompts).detach()


def run(method: Hybrid, reward: Reward) -> list[Outcome]:
    generator = LinearGenerator(MATRIX)
    return list(method.propose(TASKS, generator, reward, noises_for(generator)))


def hybrid_gradient(method: Hybrid, outcome: Outcome, iteration: int) -> Tensor:
    """The closed form for image = A e and reward = <a, image>: with the neighbours' noises xi, the
    direction in the image is the mean of <a, m A xi> m A xi, and its gradient A' of that.
    """
    noises = noises_for(LinearGenerator(MATRIX))
    direction = torch.zeros(12, dtype=torch.float64)
    for neighbour in range(method.neighbours):
        candidate = method.starts + (iteration - 1) * method.neighbours + neighbour
        xi = noises.draw(outcome.task, candidate).double().flatten()
        moved = method.radius * (MATRIX @ xi)
        direction += (DIRECTION @ moved) * moved / method.neighbours
    gradient: Tensor = MATRIX.T @ (direction / (direction.norm() + 1e-3))
    return gradient


def start_of(outcome: Outcome) -> Tensor:
    return noises_for(LinearGenerator(MATRIX)).draw(outcome.task).double().flatten()


@pytest.mark.parametrize("starts", [1, 3])
def test_each_step_is_that_of_the_closed_form(starts: int) -> None:
    method = Hybrid(
        iterations=4,
        starts=starts,
        optimiser="sgd",
        weight_decay=0.0,
        learning_rate=0.05,
        gradient_clip=100.0,
        radius=0.2,
    )
    for outcome in run(method, WithoutGradient(LinearReward(DIRECTION))):
        noises = noises_for(LinearGenerator(MATRIX))
        first = [noises.draw(outcome.task, j).double().flatten() for j in range(starts)]
        noise = max(first, key=lambda one: float(DIRECTION @ MATRIX @ one))
        velocity = torch.zeros(12, dtype=torch.float64)
        rewards = [float(DIRECTION @ MATRIX @ one) for one in first] if starts > 1 else []
        rewards.append(float(DIRECTION @ MATRIX @ noise))
        for iteration in range(1, 4):
            gradient = hybrid_gradient(method, outcome, iteration)
            velocity = 0.9 * velocity + gradient
            noise = noise + 0.05 * (gradient + 0.9 * velocity)
            rewards.append(float(DIRECTION @ MATRIX @ noise))
        assert outcome.trajectory == pytest.approx(rewards, rel=1e-9)


def test_many_neighbours_give_the_expected_direction() -> None:
    # The mean of <a, m A xi> m A xi tends to m^2 A A' a.
    method = Hybrid(
        iterations=2, neighbours=4000, optimiser="sgd", weight_decay=0.0, gradient_clip=100.0
    )
    expected = MATRIX.T @ MATRIX @ MATRIX.T @ DIRECTION
    for outcome in run(method, WithoutGradient(LinearReward(DIRECTION))):
        moved = outcome.noise.flatten() - start_of(outcome)
        assert float(torch.cosine_similarity(moved, expected, dim=0)) > 0.99


def test_a_reward_without_gradient_is_raised() -> None:
    class Steps(Reward):
        """A reward in steps, whose gradient is zero wherever it exists."""

        name = "steps"
        fingerprint = digest("steps")

        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            return (images.detach().flatten(1) @ DIRECTION * 2).floor() / 2

    for outcome in run(Hybrid(iterations=40, neighbours=8, learning_rate=0.1, radius=0.5), Steps()):
        assert outcome.trajectory is not None
        assert max(outcome.trajectory) > outcome.trajectory[0] + 2
        assert not any(math.isnan(one) for one in outcome.trajectory)
