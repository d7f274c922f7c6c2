"""Best-of-N: draw N noises and keep the image with the highest reward, without gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.devices.transfers import ahead
from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.base import (
    Method,
    Outcome,
    Passes,
    placed,
    without_gradient,
)
from hnbench.methods.candidates import Candidates, joined, keep_better
from hnbench.methods.filled_passes import FilledPasses, rounds
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class BestOfN(Method):
    """The best of `n` candidates, and of the first 2, 4, 8, ... of them.

    Candidate 0 is the sample's starting noise, and candidate j is the same noise for every `n`. So
    the candidates of a smaller `n` are the first ones of a larger `n`, and one search also gives
    the results of all smaller powers of two. The paper compares with n = 50 (arXiv 2508.09968,
    section 4).
    """

    n: int = 50
    """The number of candidates, at least 1."""

    name = "best-of-n"

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise UsageError(
                f"best-of-n: n was {self.n!r}; it must be a whole number of at least 1, for example"
                " best-of-n:n=50"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The reported numbers of candidates: `n`, and all smaller powers of two from 2 on."""
        return (*(2**power for power in range(1, self.n.bit_length()) if 2**power < self.n), self.n)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"best-of-{size}" for size in self.sizes)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "n": self.n}

    def gives_same(self, label: str, identity: Mapping[str, Any]) -> bool:
        """The best of the first candidates is the same in every search that draws them."""
        drawn = identity.get("n")
        return (
            {**identity, "n": 0} == {"name": self.name, "n": 0}
            and isinstance(drawn, int)
            and self.sizes[self.labels.index(label)] <= drawn
        )

    def together(self, other: Method) -> BestOfN | None:
        """The larger search, with the numbers that both report."""
        if not isinstance(other, BestOfN):
            return None
        sizes = {*self.sizes, *other.sizes}
        larger = BestOfN(n=max(sizes))
        also = tuple(sorted(sizes.difference(larger.sizes)))
        return _BestOfSeveral(n=larger.n, also=also) if also else larger

    def passes(self, steps: int) -> Passes:
        return Passes(self.n * steps, reward_forward=self.n)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        best, scores = self._search(tasks, generator, reward, noises)
        trajectories = scores.tolist()
        for row, task in enumerate(tasks):
            for size, label in zip(self.sizes, self.labels, strict=True):
                found, trajectory = best[size], tuple(trajectories[row][:size])
                yield Outcome(
                    task,
                    label,
                    found.image[row],
                    found.noise[row],
                    share=size / self.n,
                    trajectory=trajectory,
                )

    @without_gradient()
    def _search(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> tuple[dict[int, Candidates], Tensor]:
        """Return the best candidates after each reported number, and every candidate's reward `[B,
        n]`.
        """
        best: Candidates | None = None
        reported: dict[int, Candidates] = {}
        scores: list[Tensor] = []
        for candidate, new in enumerate(self._candidates(tasks, generator, reward, noises)):
            scores.append(new.score)
            best = keep_better(best, new) if best else new
            if candidate + 1 in self.sizes:
                reported[candidate + 1] = best
        return reported, torch.stack(scores, dim=1)

    def _candidates(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Candidates]:
        """Candidate 0 of every task, then candidate 1 of every task, and so on.

        They are generated in this order, `images_at_once` at a time, so a pass can hold several
        candidates of one task. Without that number, a pass holds one candidate of every task: this
        batch is known to fit, and its shape is the same for every n.
        """
        count = len(tasks)
        passes = FilledPasses(tasks, generator, reward, noises)
        made: Candidates | None = None
        places = [
            range(first, min(first + passes.size, self.n * count))
            for first in range(0, self.n * count, passes.size)
        ]
        drawn = ahead(lambda each: _drawn_at(each, tasks, noises), places, generator.device)
        for each, noise in zip(places, drawn, strict=True):
            made = joined(made, passes.evaluated(placed(generator, noise), each.start))
            while len(made.score) >= count:
                yield made[:count]
                made = made[count:]


@dataclass(frozen=True, kw_only=True)
class _BestOfSeveral(BestOfN):
    """The same search, which also reports other numbers of candidates."""

    also: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(sorted({*super().sizes, *self.also}))


def _drawn_at(places: range, tasks: Sequence[Task], noises: NoiseSource) -> Tensor:
    """The noises of consecutive places, on the CPU, where place `k` is candidate `k // len(tasks)`
    of task `k % len(tasks)`.
    """
    count = len(tasks)
    start, candidate = places.start % count, places.start // count
    parts = [
        noises.batch(tasks[part], candidate + later)
        for later, part in enumerate(rounds(start, len(places), count))
    ]
    return torch.cat(parts) if len(parts) > 1 else parts[0]
