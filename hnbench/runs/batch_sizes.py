"""The largest batch that fits a GPU, found from the memory of one image and of two.

The memory of a pass is taken as linear in its images: that of two less that of one is what an image
adds. The size is the largest power of two, up to `LARGEST`, that stays within `SHARE` of the
memory. What was found is remembered, so that the same command makes the same batches. If it does
not fit after all, a batch is halved like any other.

On a CPU nothing is measured: larger batches are hardly faster there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import torch

from hnbench.devices.transfers import has_queue, to_device
from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError, decode
from hnbench.guards.out_of_memory import KINDS, is_out_of_memory
from hnbench.runs.attempt import release_memory
from hnbench.runs.environment import device_name
from hnbench.runs.failures import RECORDED, is_for_user
from hnbench.seeds import NoiseSource, digest
from hnbench.tasks import Task
from hnbench.weights.hub import assets_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hnbench.generators.base import Generator
    from hnbench.rewards.base import Mixture

ON_A_CPU = 32
"""The batch size on a CPU, and where the memory of a pass cannot be measured."""
LARGEST = 64
SHARE = 0.8
"""The part of the available memory that a batch may take. The rest is for a judge, for adapters and
for gaps between tensors.
"""


class DeviceMemory(Protocol):
    """The memory of a device, in bytes."""

    def available(self) -> int:
        """The bytes that this process may allocate in all, with those that it has already."""

    def peak_of(self, work: Callable[[], object]) -> int:
        """The most that is allocated at once while `work` runs, including what was before."""


class GpuMemory:
    """The memory of a GPU, as torch counts it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def available(self) -> int:
        free, _ = torch.cuda.mem_get_info(self._device)
        return free + torch.cuda.memory_reserved(self._device)

    def peak_of(self, work: Callable[[], object]) -> int:
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        work()
        torch.cuda.synchronize(self._device)
        return torch.cuda.max_memory_allocated(self._device)


def memory_of(device: torch.device) -> DeviceMemory:
    """The memory of a GPU."""
    return GpuMemory(device)


def run_batch_sizes(
    generator: Generator, rewards: Mixture, prompt: str, *, steps: int, memory: str
) -> tuple[int, int]:
    """The batch sizes of a run: for methods that only generate and score, and for those that also
    need the gradient. `memory` is the generator's memory policy.
    """
    if not has_queue(generator.device):
        return ON_A_CPU, ON_A_CPU
    # A run does the same before its first batch, so the text encoders take no memory then.
    generator.encode_ahead([prompt])
    release_memory()
    noises = NoiseSource(0, generator.noise_shape)

    def work(count: int, *, gradient: bool) -> None:
        tasks = [Task(prompt, prompt, sample) for sample in range(count)]
        noise = to_device(noises.batch(tasks), generator.device).requires_grad_(gradient)
        conditioning = generator.encode([prompt] * count).seeded(noises.step_seeds(tasks))
        with torch.set_grad_enabled(gradient):
            images = generator.generate(noise, conditioning, steps)
            scores = rewards.score(images, [prompt] * count)
        if gradient:
            torch.autograd.grad(scores.sum(), noise)

    of = {
        "generator": generator.fingerprint,
        "noise": list(generator.noise_shape),
        "dtype": str(generator.dtype),
        "memory": memory,
        "steps": steps,
        "rewards": {name: reward.fingerprint for name, (reward, _) in rewards.parts.items()},
    }
    largest, with_gradient = (
        fitting_size(
            {**of, "gradient": gradient},
            lambda count, gradient=gradient: work(count, gradient=gradient),  # type: ignore[misc]
            generator.device,
        )
        for gradient in (False, True)
    )
    return largest, min(largest, with_gradient)


def fitting_size(of: Mapping[str, Any], work: Callable[[int], object], device: torch.device) -> int:
    """The batch size for `work(count)`, which processes that many images. `of` is everything that
    decides how much memory it takes, as JSON types; the device and torch are added.
    """
    if not has_queue(device):
        return ON_A_CPU
    key = digest({**of, "device": device_name(str(device)), "torch": torch.__version__})
    known = _remembered().get(key)
    if known is not None:
        return known
    try:
        size = largest_fitting(work, memory_of(device))
    except RECORDED as error:
        if is_for_user(error):
            raise
        # The fault shows again in the batches, which record it.
        return ON_A_CPU
    finally:
        release_memory()
    _remember(key, size)
    return size


def largest_fitting(work: Callable[[int], object], memory: DeviceMemory) -> int:
    """The largest power of two, up to `LARGEST`, of images that fit; 1 if two do not."""
    try:
        work(1)  # The first pass also takes what is kept afterwards, such as the text of a reward.
        one, two = (memory.peak_of(lambda count=count: work(count)) for count in (1, 2))  # type: ignore[misc]
    except KINDS as error:
        if not is_out_of_memory(error):
            raise
        return 1
    limit, size = memory.available() * SHARE, LARGEST
    while size > 1 and one + (size - 1) * (two - one) > limit:
        size //= 2
    return size


class _Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    size: int


def _file() -> Path:
    return assets_folder("batch-sizes") / "found.jsonl"


def _remembered() -> dict[str, int]:
    """Key -> the size that was found last. Lines that cannot be read are left out."""
    try:
        lines = _file().read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, UsageError):
        return {}
    found = [one for line in lines if (one := _read(line)) is not None]
    return {one.key: one.size for one in found if 1 <= one.size <= LARGEST}


def _read(line: str) -> _Found | None:
    try:
        return decode(line, _Found)
    except MalformedError:
        return None


def _remember(key: str, size: int) -> None:
    """Append a line. If that is impossible, the size is found again next time."""
    try:
        with _file().open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps({"key": key, "size": size}) + "\n")
    except (OSError, UsageError):
        pass
