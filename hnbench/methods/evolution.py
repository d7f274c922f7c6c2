"""Evolutionary search in the starting noise.

The selection and mutation are those of EvoSearch (arXiv 2505.17618) in its first generation, the
only one that a one-step generator has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.candidates import Candidates
from hnbench.methods.search import Fresh, Rule, Search, chosen, ranked, require_whole

TOURNAMENT = 0.9
"""The share of the population that competes to be a child's parent."""


@dataclass(frozen=True, kw_only=True)
class Evolution(Search):
    """Keep the best noises of a population, and replace the others by children: `sqrt(1 -
    mutation**2) parent + mutation N(0, I)`.

    A child's parent is the best of a random nine tenths of the population. The first population is
    the starting noise and fresh ones, so it is best-of-N. The defaults evaluate 50 noises.
    """

    population: int = 10
    """The number of noises in the population, at least 2."""
    elites: int = 5
    """The number of noises that stay, at least 1 and less than the population."""
    generations: int = 8
    """The number of generations after the first, at least 1."""
    mutation: float = 0.2
    """The standard deviation of what is new in a child, above 0 and at most 1."""

    name = "evolution"

    def __post_init__(self) -> None:
        require_whole(self.name, 2, population=self.population)
        require_whole(self.name, 1, elites=self.elites, generations=self.generations)
        if self.elites >= self.population:
            raise UsageError(
                f"{self.name}: elites was {self.elites}; it must be less than the population, which"
                f" is {self.population}"
            )
        if not 0 < self.mutation <= 1:
            raise UsageError(
                f"{self.name}: mutation was {self.mutation}; it must be above 0 and at most 1"
            )

    @property
    def evaluations(self) -> int:
        return self.population + self.generations * (self.population - self.elites)

    def skip(self, generator: Generator) -> str | None:
        """A generator whose noise has too few numbers for the choice of parents."""
        if math.prod(generator.noise_shape) < self.population:
            return f"its noise has fewer numbers than evolution's population ({self.population})"
        return None

    def _rule(self, first: Candidates, fresh: Fresh, generator: Generator) -> Rule:  # noqa: ARG002
        return _Population(self, first, fresh)


class _Population(Rule):
    def __init__(self, search: Evolution, first: Candidates, fresh: Fresh) -> None:
        self._search, self._fresh = search, fresh
        self._noises, self._scores = first.noise[None], ranked(first.score)[None]

    def propose(self) -> Tensor:
        missing = self._search.population - len(self._noises)
        if missing:  # the first population is not complete yet
            return torch.stack([self._fresh() for _ in range(missing)])
        return torch.stack(
            [self._child() for _ in range(self._search.population - self._search.elites)]
        )

    def learn(self, noises: Tensor, scores: Tensor) -> None:
        if len(self._noises) == self._search.population:
            self._scores, places = self._scores.topk(self._search.elites, dim=0)
            self._noises = chosen(self._noises, places)
        self._noises = torch.cat([self._noises, noises])
        self._scores = torch.cat([self._scores, ranked(scores)])

    def _child(self) -> Tensor:
        parent = chosen(self._noises, self._winner()[None])[0]
        mutation = self._search.mutation
        return math.sqrt(1 - mutation**2) * parent + mutation * self._fresh()

    def _winner(self) -> Tensor:
        """The place of the best of a random part of the population, `[B]`."""
        size = self._search.population
        # The order of as many random numbers is a random order.
        lots = self._fresh().flatten(1)[:, :size].T
        competing = lots.argsort(dim=0)[: math.ceil(TOURNAMENT * size)]
        return competing.gather(0, self._scores.gather(0, competing).argmax(dim=0)[None])[0]
