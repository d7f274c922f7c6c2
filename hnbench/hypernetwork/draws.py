"""The prompts and noises of each training step, from the seed and the step alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hnbench.hypernetwork.epochs import Epochs
from hnbench.seeds import seed_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from hnbench.hypernetwork.config import TrainingConfig


class Draws:
    """The prompts and noises of every step, so that a continued training sees the same ones. Each
    epoch goes through all prompts in an order of its own.

    `part` is what one of several processes takes of every batch; by default it is the whole batch.
    """

    def __init__(
        self,
        config: TrainingConfig,
        prompts: Sequence[str],
        shape: tuple[int, ...],
        part: slice = slice(None),
    ) -> None:
        self.config, self.texts, self.shape, self.part = config, list(prompts), shape, part
        self._epochs = Epochs(config, len(self.texts), part)

    def prompts(self, step: int, micro: int) -> list[str]:
        """The prompts of this part of batch `micro` of an optimizer step."""
        return [self.texts[place] for place in self._epochs.batch(step, micro)]

    def noise(self, step: int, micro: int) -> Tensor:
        """The noises of this part of batch `micro` of a step: float32 on the CPU, `[B,
        *noise_shape]`. The whole batch is drawn, so that no noise depends on the part.
        """
        size, seed = self.config.batch_size, self.config.seed
        if self.config.noise == "batch":
            shared = self._normal(self.shape, seed_of("noise", seed, step))
            return shared.expand(size, *self.shape)[self.part]
        return self._normal((size, *self.shape), seed_of("noise", seed, step, micro))[self.part]

    @staticmethod
    def _normal(shape: tuple[int, ...], seed: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))
