"""Spectral evolution search against a Haar transform by matrices, and against the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hnbench.generators.base import Conditioning
from hnbench.methods.spectral import ADDED_VARIANCE, Spectral, low_band, with_low_band
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import NearnessReward, noises_for, tasks_of


def haar(size: int, level: int) -> np.ndarray:
    """The matrix of the orthonormal Haar transform; its first `size / 2**level` rows are the low
    band.
    """
    if level == 0:
        return np.eye(size)
    half = size // 2
    step = np.zeros((size, size))
    for place in range(half):
        step[place, 2 * place : 2 * place + 2] = 1 / math.sqrt(2)
        step[half + place, 2 * place : 2 * place + 2] = (1 / math.sqrt(2), -1 / math.sqrt(2))
    rest = np.eye(size)
    rest[:half, :half] = haar(half, level - 1)
    return rest @ step


@pytest.mark.parametrize(("height", "width", "level"), [(8, 8, 1), (16, 8, 2), (16, 32, 3)])
def test_the_low_band_is_that_of_the_haar_transform(height: int, width: int, level: int) -> None:
    grid = torch.randn(2, 3, height, width, dtype=torch.float64)
    rows, columns = haar(height, level), haar(width, level)
    np.testing.assert_allclose(rows @ rows.T, np.eye(height), atol=1e-13)
    whole = rows @ grid.numpy() @ columns.T
    low = low_band(grid, level)
    np.testing.assert_allclose(
        low.numpy(), whole[..., : height // 2**level, : width // 2**level], atol=1e-13
    )
    change = torch.randn_like(low)
    changed = rows @ with_low_band(grid, change, level).numpy() @ columns.T
    expected = whole.copy()
    expected[..., : height // 2**level, : width // 2**level] += change.numpy()
    np.testing.assert_allclose(changed, expected, atol=1e-13)


def test_the_low_band_of_a_normal_noise_is_normal() -> None:
    drawn = low_band(torch.randn(4000, 1, 8, 8), 2).flatten(1)
    assert abs(float(drawn.mean())) < 4 / math.sqrt(drawn.numel())
    covariance = torch.cov(drawn.T)
    assert float((covariance - torch.eye(4)).abs().max()) < 5 * math.sqrt(2 / 4000)


@pytest.mark.parametrize(
    ("shape", "level"), [((64, 64), 4), ((32, 32), 3), ((8, 8), 1), ((4, 4), 1), ((128, 64), 4)]
)
def test_the_level_leaves_at_least_four_coefficients_a_side(
    shape: tuple[int, int], level: int
) -> None:
    assert Spectral().level_of(*shape) == level


def test_the_first_generation_is_best_of_n_in_the_low_band() -> None:
    generator, reward = ToyGenerator(), BrightnessReward()
    tasks, noises = tasks_of("a cat", "a dog"), noises_for(generator)
    search = Spectral(budget=6, population=5, elites=2)
    for outcome in search.propose(tasks, generator, reward, noises):
        start = noises.draw(outcome.task)[None]
        tried = [start] + [
            with_low_band(start, low_band(noises.draw(outcome.task, at)[None] - start, 1), 1)
            for at in range(1, 6)
        ]
        text = generator.encode([outcome.task.prompt])
        scores = [
            float(reward.score(generator.generate(one, text), [outcome.task.prompt]))
            for one in tried
        ]
        assert outcome.trajectory == pytest.approx(scores, abs=1e-6)
        best = tried[int(np.argmax(scores))]
        torch.testing.assert_close(outcome.noise, best[0], rtol=1e-5, atol=1e-6)


class WideGenerator(ToyGenerator):
    """The image is the noise, `[1, 8, 8]`, three times."""

    noise_shape = (1, 8, 8)

    def generate(
        self, noise: torch.Tensor, conditioning: Conditioning, steps: int = 1
    ) -> torch.Tensor:
        return noise.to(self.dtype).expand(-1, 3, -1, -1)


def test_it_is_the_formula() -> None:
    generator = WideGenerator(torch.float64)
    target = torch.randn(192, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    reward, noises = NearnessReward(target), noises_for(generator)
    search = Spectral(budget=14, population=4, elites=3, level=1)
    for outcome in search.propose(tasks_of("a cat", samples=3), generator, reward, noises):
        draws = [noises.draw(outcome.task, at).double()[None] for at in range(17)]
        start, fresh = draws[0], iter(draws[1:])
        own = low_band(start, 1)
        mean, variance = torch.zeros_like(own), torch.ones_like(own)
        elites: list[tuple[float, torch.Tensor]] = []
        scores = [float(reward.score(generator.generate(start, None), [""]))]  # type: ignore[arg-type]
        while len(scores) < 14:
            generation = []
            for _ in range(4):
                band = mean + variance.clamp(min=1e-9).sqrt() * low_band(next(fresh), 1)
                noise = with_low_band(start, band - own, 1)
                score = float(reward.score(generator.generate(noise, None), [""]))  # type: ignore[arg-type]
                generation.append((score, band))
            generation = generation[: 14 - len(scores)]
            scores += [score for score, _ in generation]
            elites = sorted([*elites, *generation], key=lambda one: -one[0])[:3]
            bands = np.stack([band.numpy() for _, band in elites])
            mean = torch.from_numpy(bands.mean(axis=0))
            variance = torch.from_numpy(bands.var(axis=0, ddof=1)) + ADDED_VARIANCE
        assert outcome.trajectory == pytest.approx(scores, rel=1e-9)
        kept = outcome.noise[None] - start
        torch.testing.assert_close(with_low_band(kept, -low_band(kept, 1), 1), 0 * kept)


def test_a_noise_without_blocks_is_skipped_with_the_reason() -> None:
    class Flat(ToyGenerator):
        noise_shape = (32,)  # type: ignore[assignment]

    class Odd(ToyGenerator):
        noise_shape = (2, 6, 9)

    assert Spectral().skip(ToyGenerator()) is None
    assert (
        Spectral().skip(Flat()) == "its noise has no rows and columns that spectral could transform"
    )
    reason = Spectral().skip(Odd())
    assert reason == (
        "its noise has 6 rows and 9 columns, which spectral cannot divide into blocks of 2x2"
    )
    assert "blocks of 8x8" in (Spectral(level=3).skip(ToyGenerator()) or "")
