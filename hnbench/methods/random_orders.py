"""Random orders of a noise's numbers, for regularisers that must not depend on their places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


def random_orders(noises: NoiseSource, tasks: Sequence[Task], iteration: int, count: int) -> Tensor:
    """`count` permutations of the places of each task's noise, `[B, count, N]`, int64 on the CPU.

    They depend on the sample and the iteration alone, like the noises.
    """
    size = 1
    for side in noises.shape:
        size *= side
    found = []
    for seed in noises.seeds(tasks, "orders", iteration):
        random = torch.Generator("cpu").manual_seed(seed)
        found.append(torch.stack([torch.randperm(size, generator=random) for _ in range(count)]))
    return torch.stack(found)
