"""The order in which the batches of a training go through things that are used again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hnbench.seeds import seed_of

if TYPE_CHECKING:
    from hnbench.hypernetwork.config import TrainingConfig


class Epochs:
    """Places among `count` things, such as prompts, from the seed and the step alone. Each epoch
    goes through all of them in an order of its own.

    `part` is what one of several processes takes of every batch; by default it is the whole batch.
    """

    def __init__(self, config: TrainingConfig, count: int, part: slice = slice(None)) -> None:
        self._config, self._count, self._part = config, count, part

    def batch(self, step: int, micro: int) -> list[int]:
        """The places of this part of batch `micro` of an optimizer step."""
        size = self._config.batch_size
        first = (step * self._config.accumulation + micro) * size
        return [self.at(position) for position in range(first, first + size)[self._part]]

    def at(self, position: int) -> int:
        """The place of the `position`-th use, over all epochs."""
        epoch, place = divmod(position, self._count)
        return self._order(epoch)[place]

    def _order(self, epoch: int) -> list[int]:
        # Only the present epoch's order is kept: steps come in order.
        if getattr(self, "_epoch", None) != epoch:
            generator = torch.Generator("cpu").manual_seed(
                seed_of("epoch", self._config.seed, epoch)
            )
            self._epoch, self._permutation = (
                epoch,
                torch.randperm(self._count, generator=generator).tolist(),
            )
        return self._permutation
