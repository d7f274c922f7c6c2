"""Copies between the host and a device.

A GPU works through a queue. A copy from or to ordinary memory makes the host wait until the queue
is empty, and the device then waits for the host. So a copy to the device goes through page-locked
memory and is queued, and all copies to the host that belong together are queued first and waited
for once. On a CPU, nothing is copied.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from torch import Tensor

Place = TypeVar("Place")

AHEAD = 2
"""The number of tensors that each thread makes in advance."""


def has_queue(device: torch.device) -> bool:
    """Whether the device works through a queue that copies can be put into."""
    return device.type == "cuda"


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`. The host does not wait for a copy of a tensor on the CPU."""
    if has_queue(device) and tensor.device.type == "cpu":
        tensor = page_locked(tensor)
    return tensor.to(device, non_blocking=True)


def to_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors on the CPU, in order, without gradient. The host waits once for each device."""
    detached = [tensor.detach() for tensor in tensors]
    copies = [landing(one) if has_queue(one.device) else one.cpu() for one in detached]
    for device in {one.device for one in detached if has_queue(one.device)}:
        wait_for(device)
    return copies


def page_locked(tensor: Tensor) -> Tensor:
    """A copy of a tensor on the CPU in page-locked memory."""
    return tensor.pin_memory()


def landing(tensor: Tensor) -> Tensor:
    """A copy of a device's tensor in page-locked memory. It is valid after `wait_for`."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def wait_for(device: torch.device) -> None:
    """Wait until the device has done everything that this thread has put into its queue."""
    torch.cuda.current_stream(device).synchronize()


def generator_on(device: torch.device) -> torch.Generator:
    """A random generator that draws on the device; its seed is always the same."""
    return torch.Generator(device).manual_seed(0)


def ahead(
    make: Callable[[Place], Tensor],
    places: Sequence[Place],
    device: torch.device,
    *,
    workers: int = 1,
) -> Iterator[Tensor]:
    """`make(place)` for each place, in order, on the CPU.

    For a GPU, `workers` other threads make them in advance, in page-locked memory, while the device
    is busy. On a CPU, that would only take time from the model, so each is made when it is needed.
    """
    if not has_queue(device):
        yield from map(make, places)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[Future[Tensor]] = deque()
        for place in places:
            waiting.append(pool.submit(_made_and_locked, make, place))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _made_and_locked(make: Callable[[Place], Tensor], place: Place) -> Tensor:
    return page_locked(make(place))
