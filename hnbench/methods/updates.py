"""The rules by which gradient descent goes from one noise to the next, element by element: those of
`torch.optim`, without their parameters and groups.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's constants, torch's defaults."""


class Update(Protocol):
    """A rule with its state. The noise moves by minus the learning rate times the step."""

    def step(self, gradient: Tensor, noise: Tensor) -> Tensor:
        """The step for the next gradient `[B, *noise_shape]`, at this noise."""


class SGD:
    """`torch.optim.SGD` with momentum."""

    def __init__(self, momentum: float, *, nesterov: bool) -> None:
        self._momentum, self._nesterov = momentum, nesterov
        self._velocity: Tensor | None = None

    def step(self, gradient: Tensor, noise: Tensor) -> Tensor:
        velocity = torch.zeros_like(noise) if self._velocity is None else self._velocity
        self._velocity = self._momentum * velocity + gradient
        return gradient + self._momentum * self._velocity if self._nesterov else self._velocity


class Adam:
    """`torch.optim.Adam`; with a weight decay, `torch.optim.AdamW`."""

    def __init__(self, weight_decay: float) -> None:
        self._weight_decay = weight_decay
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def step(self, gradient: Tensor, noise: Tensor) -> Tensor:
        self._steps += 1
        first, second = BETAS
        mean = torch.zeros_like(noise) if self._mean is None else self._mean
        square = torch.zeros_like(noise) if self._square is None else self._square
        self._mean = first * mean + (1 - first) * gradient
        self._square = second * square + (1 - second) * gradient.square()
        expected_mean = self._mean / (1 - first**self._steps)
        expected_square = self._square / (1 - second**self._steps)
        adaptive = expected_mean / (expected_square.sqrt() + EPSILON)
        return adaptive + self._weight_decay * noise if self._weight_decay else adaptive
