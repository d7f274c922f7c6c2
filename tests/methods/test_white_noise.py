"""The projection onto white noise: its invariants, and numerical optimisation."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from hnbench.methods.white_noise import BLOCK, MEAN_SIZE, frequencies, from_frequencies, white


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [2, 32, 96, 1024])
def test_the_frequencies_are_a_bijection_that_halves_the_squared_norm(size: int) -> None:
    flat = drawn(5, size)
    found = frequencies(flat)
    assert found.shape == (5, size // 2)
    torch.testing.assert_close(from_frequencies(found), flat, rtol=0, atol=1e-14)
    torch.testing.assert_close(2 * found.abs().square().sum(dim=1), flat.square().sum(dim=1))


def test_the_frequencies_are_those_of_the_sum_that_defines_them() -> None:
    flat = drawn(3, 32).numpy()
    places = np.arange(32)
    sums = np.stack(
        [(flat * np.exp(-2j * np.pi * places * k / 32)).sum(axis=1) for k in range(17)], axis=1
    ) / math.sqrt(32)
    ends = (sums[:, 0].real + 1j * sums[:, 16].real) / math.sqrt(2)
    expected = np.concatenate([ends[:, None], sums[:, 1:16]], axis=1)
    np.testing.assert_allclose(frequencies(torch.from_numpy(flat)).numpy(), expected, atol=1e-13)


@pytest.mark.parametrize(("size", "cosine"), [(1024, 0.984), (16384, 0.988)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_block_has_the_means_of_white_noise_and_noise_is_hardly_changed(
    size: int, cosine: float, dtype: torch.dtype
) -> None:
    noise = drawn(6, 4, size // 4, dtype=dtype)
    for given in (noise, noise.abs() ** 3, noise.cumsum(dim=-1)):
        projected = white(given)
        assert projected.shape == given.shape
        torch.testing.assert_close(
            projected.flatten(1).square().sum(dim=1), torch.full((6,), float(size), dtype=dtype)
        )
        sizes = frequencies(projected.flatten(1)).abs().view(6, -1, BLOCK)
        torch.testing.assert_close(
            sizes.mean(dim=2), torch.full_like(sizes[..., 0], MEAN_SIZE), rtol=1e-4, atol=0
        )
        torch.testing.assert_close(
            sizes.square().mean(dim=2), torch.ones_like(sizes[..., 0]), rtol=2e-4, atol=0
        )
    likeness = torch.cosine_similarity(noise.flatten(1), white(noise).flatten(1))
    assert float(likeness.min()) >= cosine


def test_it_keeps_phases_and_forgets_the_length() -> None:
    gradient = drawn(4, 256).cumsum(dim=1)
    projected = white(gradient)
    torch.testing.assert_close(white(gradient * 1e-7), projected, rtol=0, atol=1e-9)
    before, after = frequencies(gradient), frequencies(projected)
    kept = after.abs() > 1e-3
    torch.testing.assert_close(before.angle()[kept], after.angle()[kept], rtol=0, atol=1e-6)


def best_sizes(sizes: np.ndarray) -> np.ndarray:
    """The sizes with the two means that have the largest inner product, by a general optimiser."""
    limits: Any = [
        {"type": "eq", "fun": lambda v: v.sum() - MEAN_SIZE * BLOCK},
        {"type": "eq", "fun": lambda v: (v**2).sum() - BLOCK},
    ]
    rng, optimise = np.random.default_rng(0), cast("Any", minimize)
    found = [
        optimise(
            lambda v: -sizes @ v,
            rng.uniform(0, 2, BLOCK),
            jac=lambda _: -sizes,
            bounds=[(0, None)] * BLOCK,
            constraints=limits,
            options={"maxiter": 200, "ftol": 1e-14},
        )
        for _ in range(5)
    ]
    feasible = [one for one in found if one.success]
    assert feasible
    best: np.ndarray = min(feasible, key=lambda one: one.fun).x
    return best


@pytest.mark.parametrize("power", [0.3, 1.0, 4.0])
def test_no_other_noise_with_these_means_is_nearer(power: float) -> None:
    rng = np.random.default_rng(int(10 * power))
    for _ in range(2):
        sizes = rng.rayleigh(size=BLOCK) ** power
        phases = np.exp(2j * np.pi * rng.uniform(size=BLOCK))
        noise = from_frequencies(torch.from_numpy(sizes * phases)[None])
        ours = frequencies(white(noise))[0].abs().numpy()
        expected = best_sizes(sizes)
        assert sizes @ ours >= sizes @ expected - 1e-4 * sizes.max()
        np.testing.assert_allclose(ours, expected, atol=5e-3)


def test_equal_sizes_and_missing_frequencies_have_a_projection_too() -> None:
    noise = torch.zeros(4, 64)
    noise[1, 0] = 8.0  # all frequencies have the same size
    noise[2] = torch.sin(2 * math.pi * torch.arange(64) / 16)  # all but one are absent or tiny
    noise[3] = 1.0  # all but one are absent
    assert (frequencies(noise)[1, BLOCK:].abs() == 1).all()
    assert (frequencies(noise)[3, 1:] == 0).all()
    projected = white(noise)
    assert torch.equal(projected[0], torch.zeros(64))
    torch.testing.assert_close(projected[1:].square().sum(dim=1), torch.full((3,), 64.0))


def test_a_pattern_of_one_frequency_is_hardly_kept() -> None:
    wave = torch.sin(2 * math.pi * 3 * torch.arange(16384, dtype=torch.float64) / 16384)[None]
    likeness = torch.cosine_similarity(wave, white(wave))
    assert 0.01 < float(likeness) < 0.05


def test_a_sample_does_not_depend_on_the_others() -> None:
    noise = drawn(3, 2, 4, 8)
    noise[1] = math.nan
    projected = white(noise)
    for place in (0, 2):
        torch.testing.assert_close(projected[place], white(noise[place : place + 1])[0])
