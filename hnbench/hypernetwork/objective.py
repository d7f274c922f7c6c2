"""The training objective of a noise hypernetwork (HyperNoise, arXiv 2508.09968, Eq. 11).

Per sample, with displacement f and reward r of the image made from noise + f:

    loss = weight * 1/2 * reduce(f^2) - r

`reduce` is a sum over the entries of one noise in the paper, and a mean in its official code. The
two differ by the factor d, the number of entries, and so in the temperature of the reward-tilted
noise that they aim at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class NoiseObjective:
    """The regularised reward, per sample."""

    reduction: Reduction
    weight: float
    """The factor of the regulariser; the rewards' weights are in their mixture. The official code
    has 1, with the mean.
    """
    noise_shape: tuple[int, ...]

    def __call__(self, displacement: Tensor, reward: Tensor) -> Tensor:
        """The loss `[B]` of displacements `[B, *noise_shape]` and rewards `[B]`."""
        return self.weight * self.penalty(displacement) - reward

    def penalty(self, displacement: Tensor) -> Tensor:
        """1/2 of the sum or the mean of the squared entries, `[B]`."""
        squares = displacement.flatten(1).square()
        return 0.5 * (squares.sum(1) if self.reduction == "sum" else squares.mean(1))

    @property
    def temperature(self) -> float:
        """The alpha of the target p0(x) exp(r(g(x)) / alpha), for which the loss is
        alpha * (1/2 ||f||^2 - r / alpha).
        """
        return self.weight if self.reduction == "sum" else self.weight / math.prod(self.noise_shape)
