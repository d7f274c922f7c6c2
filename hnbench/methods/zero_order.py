"""Zero-order search: step by step to the best of a noise's neighbours.

Ma et al., "Inference-Time Scaling for Diffusion Models beyond Scaling Denoising Steps", arXiv
2501.09732, section 3; the neighbours on the sphere, their cosine of 0.95 and the restart are those
of sayakpaul/tt-scale-flux.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.candidates import Candidates, per_sample
from hnbench.methods.search import Fresh, Rule, Search, chosen, ranked, require_whole


@dataclass(frozen=True, kw_only=True)
class ZeroOrder(Search):
    """In each round, evaluate some neighbours of the pivot, and go to the best of them if it is
    better. The first pivot is the starting noise.

    A neighbour has the pivot's norm and a fixed cosine with it; its direction is random. The
    defaults evaluate 50 noises, as many as best-of-50.
    """

    neighbours: int = 7
    """The number of neighbours in a round, at least 1."""
    rounds: int = 7
    """The number of rounds, at least 1."""
    cosine: float = 0.95
    """The cosine of the angle between pivot and neighbour, above -1 and below 1."""
    restart: bool = False
    """Whether a round without a better neighbour ends at a fresh noise instead of the old pivot, as
    in tt-scale-flux. Then each round but the first also evaluates its pivot.
    """

    name = "zero-order"

    def __post_init__(self) -> None:
        require_whole(self.name, 1, neighbours=self.neighbours, rounds=self.rounds)
        if not -1 < self.cosine < 1:
            raise UsageError(
                f"{self.name}: cosine was {self.cosine}; it must be above -1 and below 1"
            )

    @property
    def evaluations(self) -> int:
        return 1 + self.neighbours * self.rounds + (self.rounds - 1) * self.restart

    def _rule(self, first: Candidates, fresh: Fresh, generator: Generator) -> Rule:  # noqa: ARG002
        return _Pivot(self, first, fresh)


class _Pivot(Rule):
    def __init__(self, search: ZeroOrder, first: Candidates, fresh: Fresh) -> None:
        self._search, self._fresh = search, fresh
        self._noise, self._score = first.noise, ranked(first.score)
        self._scored = True

    def propose(self) -> Tensor:
        found = [
            neighbour(self._noise, self._fresh(), self._search.cosine)
            for _ in range(self._search.neighbours)
        ]
        return torch.stack(found if self._scored else [self._noise, *found])

    def learn(self, noises: Tensor, scores: Tensor) -> None:
        if not self._scored:
            self._score = ranked(scores[0])
            noises, scores = noises[1:], scores[1:]
        score, place = ranked(scores).max(dim=0)
        better = score > self._score
        kept = self._fresh() if self._search.restart else self._noise
        best = chosen(noises, place[None])[0]
        self._noise = torch.where(per_sample(better, best), best, kept)
        self._score = torch.where(better, score, self._score)
        # After a restart, the pivots of some tasks have no score yet.
        self._scored = not self._search.restart


def neighbour(noise: Tensor, direction: Tensor, cosine: float) -> Tensor:
    """Noises `[B, *noise_shape]` with the norms of `noise` and this cosine with it, in the plane of
    `noise` and `direction`.
    """
    flat, other = noise.flatten(1), direction.flatten(1)
    norm = flat.norm(dim=1, keepdim=True)
    along = flat / norm
    across = other - (other * along).sum(dim=1, keepdim=True) * along
    across = across / across.norm(dim=1, keepdim=True)
    found: Tensor = norm * (cosine * along + math.sqrt(1 - cosine**2) * across)
    return found.view_as(noise)
