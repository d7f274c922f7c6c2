"""Spectral evolution search (SES): a cross-entropy search in the low frequencies of the noise.

"Spectral Evolution Search", arXiv 2602.03208; the numbers are the defaults of its code in
DiffSynth-Studio, but for the budget.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.candidates import Candidates
from hnbench.methods.search import Fresh, Rule, Search, chosen, ranked, require_whole

LEAST_VARIANCE, ADDED_VARIANCE = 1e-9, 1e-7
"""The least variance of a proposal, and what is added to that of the elites."""
_LOWEST_SIDE = 4
"""The shorter side of the low band, in coefficients, if the level is not given."""


@dataclass(frozen=True, kw_only=True)
class Spectral(Search):
    """Sample the low band of the noise's Haar transform from a normal distribution, and fit that
    distribution to the best bands so far. The high band is that of the starting noise.

    The first generation is sampled from N(0, I): it is best-of-N with one high band for all.
    """

    budget: int = 50
    """The number of noises that are evaluated, the starting noise included, at least 2."""
    population: int = 10
    """The number of noises in a generation, at least 2."""
    elites: int = 5
    """The number of best bands that the distribution is fitted to, at least 2 and at most the
    population. They are kept across generations.
    """
    level: int | None = None
    """The level of the transform, at least 1: the low band has `4**level` times fewer coefficients
    than the noise. None: the largest with which its shorter side has at least 4, but at least 1.
    """

    name = "spectral"

    def __post_init__(self) -> None:
        require_whole(
            self.name, 2, budget=self.budget, population=self.population, elites=self.elites
        )
        if self.level is not None:
            require_whole(self.name, 1, level=self.level)
        if self.elites > self.population:
            raise UsageError(
                f"{self.name}: elites was {self.elites}; it must be at most the population, which"
                f" is {self.population}"
            )

    @property
    def evaluations(self) -> int:
        return self.budget

    def skip(self, generator: Generator) -> str | None:
        """A generator whose noise has no rows and columns, or cannot be divided into blocks."""
        try:
            sides = generator.to_grid(torch.zeros(1, *generator.noise_shape)).shape[2:]
        except NotImplementedError:
            return "its noise has no rows and columns that spectral could transform"
        block = 2 ** self.level_of(*sides)
        if any(side % block for side in sides):
            return (
                f"its noise has {sides[0]} rows and {sides[1]} columns, which spectral cannot"
                f" divide into blocks of {block}x{block}"
            )
        return None

    def level_of(self, height: int, width: int) -> int:
        """The level of the transform for a noise of this many rows and columns."""
        largest = math.log2(min(height, width) / _LOWEST_SIDE)
        return max(1, math.floor(largest)) if self.level is None else self.level

    def _rule(self, first: Candidates, fresh: Fresh, generator: Generator) -> Rule:
        return _Distribution(self, first.noise, fresh, generator)


class _Distribution(Rule):
    def __init__(self, search: Spectral, noise: Tensor, fresh: Fresh, generator: Generator) -> None:
        self._search, self._fresh, self._generator = search, fresh, generator
        self._start = generator.to_grid(noise)
        self._level = search.level_of(*self._start.shape[2:])
        self._own = low_band(self._start, self._level)
        self._mean, self._variance = torch.zeros_like(self._own), torch.ones_like(self._own)
        self._elites = self._own.new_empty(0, *self._own.shape)
        self._scores = self._own.new_empty(0, len(self._own))

    def propose(self) -> Tensor:
        deviation = self._variance.clamp(min=LEAST_VARIANCE).sqrt()
        drawn = [
            # The low band of a normal noise is normal itself.
            low_band(self._generator.to_grid(self._fresh()), self._level)
            for _ in range(self._search.population)
        ]
        self._bands = torch.stack([self._mean + deviation * one for one in drawn])
        return torch.stack(
            [
                self._generator.from_grid(with_low_band(self._start, band - self._own, self._level))
                for band in self._bands
            ]
        )

    def learn(self, noises: Tensor, scores: Tensor) -> None:
        bands = torch.cat([self._elites, self._bands[: len(noises)]])
        known = torch.cat([self._scores, ranked(scores).to(self._scores.dtype)])
        self._scores, places = known.topk(min(self._search.elites, len(known)), dim=0)
        self._elites = chosen(bands, places)
        self._mean = self._elites.mean(dim=0)
        self._variance = self._elites.var(dim=0) + ADDED_VARIANCE


def low_band(grid: Tensor, level: int) -> Tensor:
    """The low band of the orthonormal Haar transform of `[B, C, H, W]`: `[B, C, H / 2**level, W /
    2**level]`, the sum of each block, divided by `2**level`.
    """
    block = 2**level
    sums: Tensor = avg_pool2d(grid, block) * block
    return sums


def with_low_band(grid: Tensor, change: Tensor, level: int) -> Tensor:
    """The grid with `change` added to its low band; all other coefficients stay as they are."""
    block = 2**level
    return grid + interpolate(change / block, scale_factor=block, mode="nearest")
