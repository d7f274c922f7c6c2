"""A cache of encoded texts."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

from hnbench.devices.transfers import to_device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

TEXT_CACHE_BYTES = 4 * 2**30
"""The largest size of the cache, on the CPU. Beyond it, the texts that have gone unused for longest
are dropped, and encoded again when needed.
"""
MASK = "attention_mask"
"""The tensor `[tokens]` of a prompt that is 0 for padding and 1 for all other tokens."""


class EncodedTexts:
    """Prompt -> its named tensors, on the CPU."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Mapping[str, Tensor]] = OrderedDict()
        self._bytes = 0
        self._latest: _Batch | None = None

    def missing(self, prompts: Sequence[str]) -> list[str]:
        """The prompts that are not in the cache, each once, in order."""
        return [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rows]

    def keep(self, prompt: str, tensors: Mapping[str, Tensor]) -> None:
        """Add a prompt's encoding: tensors without a batch dimension."""
        self._rows[prompt] = row = {name: tensor.cpu() for name, tensor in tensors.items()}
        self._bytes += _size_of(row)

    def has_room_for(self, count: int, *, like: str) -> bool:
        """Whether the cache can hold `count` prompts, each as large as the cached prompt `like`."""
        return count * _size_of(self._rows[like]) <= TEXT_CACHE_BYTES

    def lengths(self, prompts: Sequence[str]) -> tuple[int, ...] | None:
        """The number of tokens of prompts in the cache, by their attention masks; None if they have
        none.
        """
        masks = [self._rows[prompt].get(MASK) for prompt in prompts]
        known = [int(mask.sum()) for mask in masks if mask is not None]
        return tuple(known) if len(known) == len(masks) else None

    def batch(self, prompts: Sequence[str], device: torch.device) -> dict[str, Tensor]:
        """The named tensors `[len(prompts), ...]` of prompts in the cache. Afterwards, the cache
        is cut to its largest size.

        Asked for the latest batch again, it gives the same tensors, unless somebody changed them.
        """
        key = (tuple(prompts), device)
        if self._latest is None or not self._latest.is_still(key):
            self._latest = _Batch(key, self._stacked(prompts, device))
        return dict(self._latest.tensors)

    def _stacked(self, prompts: Sequence[str], device: torch.device) -> dict[str, Tensor]:
        rows = [self._rows[prompt] for prompt in prompts]
        for prompt in prompts:
            self._rows.move_to_end(prompt)  # so the first row is the one unused for longest
        while self._bytes > TEXT_CACHE_BYTES and len(self._rows) > 1:
            self._bytes -= _size_of(self._rows.popitem(last=False)[1])
        return {
            name: to_device(torch.stack([row[name] for row in rows]), device) for name in rows[0]
        }


class _Batch:
    """A batch on the device, because warming up and proposing ask for the same one."""

    def __init__(self, key: tuple[object, ...], tensors: dict[str, Tensor]) -> None:
        self.key, self.tensors = key, tensors
        self._versions = self._versions_now()

    def is_still(self, key: tuple[object, ...]) -> bool:
        """Whether this is the batch of that key, and nobody has written into its tensors."""
        return self.key == key and self._versions == self._versions_now()

    def _versions_now(self) -> list[int]:
        return [tensor._version for tensor in self.tensors.values()]  # noqa: SLF001


def _size_of(row: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in row.values())
