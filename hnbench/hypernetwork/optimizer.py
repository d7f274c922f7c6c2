"""A training's optimizer: its making, its learning rate at each step, its state as named
tensors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from hnbench.files.decoding import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from hnbench.hypernetwork.config import TrainingConfig

KEPT = {"sgd": ("momentum_buffer",), "adamw": ("step", "exp_avg", "exp_avg_sq")}
"""The state that an optimizer keeps for each parameter."""


def make_optimizer(
    config: TrainingConfig, parameters: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer of a configuration."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The rate of step 0, 1, ...: a linear warm-up, then constant or a cosine down to zero at the
    end of the training.

    The warm-up is that of the official code (diffusers' `constant_with_warmup`): 0, 1/w, 2/w, ...
    of the rate, full from step w on.
    """
    rate = config.learning_rate * (
        min(1.0, step / config.warmup_steps) if config.warmup_steps else 1.0
    )
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return rate


def tensors_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state, as `<number of the parameter>.<name>` -> tensor."""
    return {
        f"{index}.{name}": value
        for index, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
        if value is not None  # SGD without momentum may store None
    }


def restore(
    optimizer: torch.optim.Optimizer,
    kind: str,
    parameters: Sequence[nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """Restore the state that `tensors_of` took from an optimizer of this kind. Tensors that do not
    belong to these parameters are a `MalformedError`.
    """
    optimizer.load_state_dict(
        {
            "state": _entries(kind, parameters, tensors),
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )


def _entries(
    kind: str, parameters: Sequence[nn.Parameter], tensors: Mapping[str, Tensor]
) -> dict[int, dict[str, Tensor]]:
    """The state of each parameter: tensors of the parameter's shape, and the number of steps."""
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        known = name in KEPT[kind] and number in map(str, range(len(parameters)))
        if (
            not known
            or value.shape != (() if name == "step" else parameters[int(number)].shape)
            or not value.is_floating_point()
        ):
            raise MalformedError(f"{key[:60]} is not a part of {kind}'s state for its parameters")
        entries.setdefault(int(number), {})[name] = value
    if any(len(entry) != len(KEPT[kind]) for entry in entries.values()):
        raise MalformedError(f"a part of {kind}'s state for its parameters is missing")
    return entries
