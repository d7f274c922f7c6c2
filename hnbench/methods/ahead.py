"""Noises that are drawn while the device is busy with the ones before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from hnbench.transfers import has_queue, page_locked

Place = TypeVar("Place")

AHEAD = 2
"""The number of batches that are drawn in advance."""


def ahead(
    draw: Callable[[Place], Tensor], places: Sequence[Place], device: torch.device
) -> Iterator[Tensor]:
    """`draw(place)` for each place, in order, on the CPU.

    For a GPU, another thread draws in advance, into page-locked memory. On a CPU, that would only
    take time from the model, so each one is drawn when it is needed.
    """
    if not has_queue(device):
        yield from map(draw, places)
        return
    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting: deque[Future[Tensor]] = deque()
        for place in places:
            waiting.append(worker.submit(lambda place=place: page_locked(draw(place))))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
