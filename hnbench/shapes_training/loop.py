"""Common parts of the training stages: schedules, averages, a log of the losses."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor


def cosine(step: int, steps: int, warmup: int = 100) -> float:
    """The factor of the learning rate: a linear warm-up, then a cosine from 1 to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def optimiser(
    parameters: Iterable[nn.Parameter], learning_rate: float, decay: float = 0.01
) -> torch.optim.AdamW:
    """AdamW without weight decay of biases and norms."""
    listed = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [item for item in listed if item.ndim > 1], "weight_decay": decay},
        {"params": [item for item in listed if item.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))


def set_rate(chosen: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's learning rate."""
    for group in chosen.param_groups:
        group["lr"] = rate


class Average:
    """An exponential moving average of a module's floating-point state."""

    def __init__(self, module: nn.Module, decay: float = 0.998) -> None:
        self.module, self.decay, self.count = module, decay, 0
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Add the module's present state to the average."""
        self.count += 1
        # In the first updates, the average forgets faster, so that the first weights count little.
        keep = min(self.decay, (1 + self.count) / (10 + self.count))
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - keep)
            else:
                self.state[name].copy_(value)


class LossLog:
    """Prints a line every `every` steps: the step, the time, and the means of the given values
    since the last line.
    """

    def __init__(self, every: int, steps: int) -> None:
        self.every, self.steps, self.began = every, steps, time.monotonic()
        self.sums: dict[str, float] = {}
        self.count = 0

    def __call__(self, step: int, **values: float) -> None:
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if (step + 1) % self.every == 0:
            shown = "  ".join(
                f"{name} {value / self.count:.4f}" for name, value in self.sums.items()
            )
            print(  # noqa: T201
                f"step {step + 1}/{self.steps}  {time.monotonic() - self.began:.0f} s  {shown}",
                flush=True,
            )
            self.sums, self.count = {}, 0


def minimise(
    model: nn.Module,
    next_loss: Callable[[], tuple[Tensor, Mapping[str, float]]],
    *,
    steps: int,
    learning_rate: float,
    others: Iterable[nn.Parameter] = (),
    decay: float = 0.01,
) -> None:
    """Train `model` in place; its averaged weights remain.

    `next_loss` gives the loss of the next batch, and values for the log. `others` are parameters
    outside the model that are trained with it. Only the model's gradient is clipped, to norm 1.
    """
    adam = optimiser([*model.parameters(), *others], learning_rate, decay)
    average, log = Average(model), LossLog(100, steps)
    for step in range(steps):
        set_rate(adam, learning_rate * cosine(step, steps))
        loss, shown = next_loss()
        adam.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        average.update()
        log(step, **shown)
    model.load_state_dict(average.state)
