"""DNO's regulariser against numpy, and what it says of noise that is and is not typical."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hnbench.methods.concentration import concentration_penalty, improbability, spectral_norm
from hnbench.methods.random_orders import random_orders
from hnbench.seeds import NoiseSource
from tests.methods.linear import tasks_of


def drawn(count: int, size: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn(count, size, dtype=torch.float64, generator=random)


def by_numpy(values: np.ndarray) -> float:
    rows = values.reshape(-1, 4)
    n, m = rows.shape
    first = float(np.linalg.norm(rows.mean(axis=0)))
    second = float(np.linalg.norm(rows.T @ rows / n - np.eye(m), 2))
    beyond = max(math.sqrt(1 + second) - 1 - math.sqrt(m / n), 0)
    by_mean = min(-n * first**2 / (2 * m), -math.log(2))
    by_covariance = min(-n * beyond**2 / 2, -math.log(2))
    return float(-(by_mean + by_covariance))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.2, 0.0), (1.0, 0.3), (0.7, -0.1)])
def test_the_penalty_is_numpys_with_its_mean_over_the_orders(scale: float, shift: float) -> None:
    noise = scale * drawn(3, 512) + shift
    orders = random_orders(NoiseSource(0, (512,)), tasks_of("a", "b", "c"), 1, 7)
    found = concentration_penalty(noise.view(3, 2, 16, 16), orders)
    expected = [
        by_numpy(row) + np.mean([by_numpy(row[order]) for order in several])
        for row, several in zip(noise.numpy(), orders.numpy(), strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_typical_noise_is_at_the_floor_where_the_gradient_is_zero() -> None:
    noise = drawn(32, 16384).requires_grad_()
    found = improbability(noise)
    (gradient,) = torch.autograd.grad(found.sum(), noise)
    floor = (found.detach() - 2 * math.log(2)).abs() < 1e-12
    assert floor.double().mean() > 0.75
    assert (gradient[floor] == 0).all()
    assert (gradient[~floor] != 0).any(dim=1).all()
    assert (found.detach()[~floor] > 2 * math.log(2)).all()


@pytest.mark.parametrize(
    ("scale", "shift", "least", "most"), [(1.05, 0.0, 3.0, 5.0), (1.0, 0.05, 5.5, 8.0)]
)
def test_noise_that_is_a_little_too_long_or_shifted_is_improbable(
    scale: float, shift: float, least: float, most: float
) -> None:
    assert least < float(improbability(scale * drawn(32, 16384) + shift).mean()) < most


def test_the_gradient_is_that_of_finite_differences() -> None:
    noise = (1.3 * drawn(2, 64) + 0.4).requires_grad_()
    orders = random_orders(NoiseSource(0, (64,)), tasks_of("a", "b"), 1, 3)
    assert torch.autograd.gradcheck(lambda one: concentration_penalty(one, orders), noise)


def test_the_spectral_norm_and_its_gradient_are_torchs() -> None:
    matrices = drawn(40, 16).view(40, 4, 4)
    matrices = (matrices + matrices.mT).requires_grad_()
    ours, theirs = spectral_norm(matrices), torch.linalg.matrix_norm(matrices, 2)
    torch.testing.assert_close(ours, theirs)
    (own,) = torch.autograd.grad(ours.sum(), matrices)
    (other,) = torch.autograd.grad(theirs.sum(), matrices)
    torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-6)
    assert spectral_norm(torch.zeros(4, 4)).isfinite()


def test_orders_are_permutations_of_the_sample_and_the_iteration_alone() -> None:
    noises, tasks = NoiseSource(0, (2, 4, 4)), tasks_of("a", "b", samples=2)
    orders = random_orders(noises, tasks, 3, 5)
    assert orders.shape == (4, 5, 32)
    assert torch.equal(orders.sort(dim=2).values, torch.arange(32).expand(4, 5, 32))
    assert len({tuple(order.tolist()) for order in orders.flatten(0, 1)}) == 20
    for place, task in enumerate(tasks):
        assert torch.equal(random_orders(noises, [task], 3, 5)[0], orders[place])
    assert not torch.equal(random_orders(noises, tasks, 4, 5), orders)
    assert not torch.equal(random_orders(NoiseSource(1, (2, 4, 4)), tasks, 3, 5), orders)
