"""A copy of a network that has its layers and no memory for their weights.

A library can put layers of its own into the copy, and the network itself is not touched: not its
hooks, nor which of its weights are trainable, nor where they are.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


def hollow(network: nn.Module) -> Any:
    """A copy whose weights are zeros on the CPU, of the network's shapes and types, that take no
    memory. It must not be called.
    """
    twin = copy.copy(network)
    twin._modules = {  # noqa: SLF001
        name: None if child is None else hollow(child)
        for name, child in network._modules.items()  # noqa: SLF001
    }
    twin._parameters = {  # noqa: SLF001
        name: None if weight is None else _without_memory(weight)
        for name, weight in network._parameters.items()  # noqa: SLF001
    }
    twin._buffers = dict(network._buffers)  # noqa: SLF001
    return twin


def _without_memory(weight: Tensor) -> nn.Parameter:
    zeros = torch.zeros((), dtype=weight.dtype).expand(weight.shape)
    return nn.Parameter(zeros, requires_grad=False)
