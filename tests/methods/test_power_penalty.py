"""MPGR's regulariser against numpy, and against the norm's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hnbench.methods.power_penalty import power_penalty
from hnbench.methods.random_orders import random_orders
from hnbench.methods.reno import norm_penalty
from hnbench.seeds import NoiseSource
from tests.methods.linear import tasks_of


def drawn(count: int, size: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, dtype=torch.float64, generator=random)


def by_numpy(values: np.ndarray, order: np.ndarray) -> float:
    found = np.fft.rfft(values[order]) / math.sqrt(len(values))
    ends = math.sqrt((found[0].real ** 2 + found[-1].real ** 2) / 2)
    sizes = np.concatenate([[ends], np.abs(found[1:-1])]).reshape(-1, 16)
    power = np.mean(np.abs(sizes.mean(axis=1) - math.sqrt(math.pi) / 2))
    return float(abs(values.mean()) + abs(math.sqrt((values**2).mean()) - 1) + 25 * power)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.3, 0.0), (0.8, 0.5)])
def test_the_penalty_is_numpys(scale: float, shift: float) -> None:
    noise = scale * drawn(3, 512) + shift
    orders = random_orders(NoiseSource(0, (512,)), tasks_of("a", "b", "c"), 1, 1)[:, 0]
    found = power_penalty(noise.view(3, 2, 16, 16), orders)
    expected = [by_numpy(*row) for row in zip(noise.numpy(), orders.numpy(), strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_white_noise_has_the_penalty_of_chance() -> None:
    noise = drawn(32, 16384)
    orders = random_orders(NoiseSource(0, (16384,)), tasks_of("a", samples=32), 1, 1)[:, 0]
    assert float(power_penalty(noise, orders).mean()) == pytest.approx(2.3, abs=0.1)


def test_in_this_order_it_sees_a_pattern_that_the_norms_penalty_does_not() -> None:
    noise = drawn(4, 4096)
    smooth = noise + noise.roll(1, dims=1) + noise.roll(2, dims=1)
    smooth = smooth * (noise.norm(dim=1) / smooth.norm(dim=1))[:, None]
    same = torch.arange(4096).expand(4, 4096)
    torch.testing.assert_close(norm_penalty(smooth), norm_penalty(noise))
    assert (power_penalty(smooth, same) > power_penalty(noise, same) + 5).all()


def test_the_gradient_is_that_of_finite_differences() -> None:
    noise = drawn(2, 64).requires_grad_()
    orders = random_orders(NoiseSource(0, (64,)), tasks_of("a", "b"), 1, 1)[:, 0]
    assert torch.autograd.gradcheck(lambda one: power_penalty(one, orders), noise)
