"""A cache of encoded texts."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

TEXT_CACHE_BYTES = 4 * 2**30
"""The largest size of the cache, on the CPU. Beyond it, the texts that have gone unused for longest
are dropped, and encoded again when needed.
"""


class EncodedTexts:
    """Prompt -> its named tensors, on the CPU."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Mapping[str, Tensor]] = OrderedDict()
        self._bytes = 0

    def missing(self, prompts: Sequence[str]) -> list[str]:
        """The prompts that are not in the cache, each once, in order."""
        return [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rows]

    def keep(self, prompt: str, tensors: Mapping[str, Tensor]) -> None:
        """Add a prompt's encoding: tensors without a batch dimension."""
        self._rows[prompt] = row = {name: tensor.cpu() for name, tensor in tensors.items()}
        self._bytes += _size_of(row)

    def batch(self, prompts: Sequence[str], device: torch.device) -> dict[str, Tensor]:
        """The named tensors `[len(prompts), ...]` of prompts in the cache. Afterwards, the cache
        is cut to its largest size.
        """
        rows = [self._rows[prompt] for prompt in prompts]
        for prompt in prompts:
            self._rows.move_to_end(prompt)  # so the first row is the one unused for longest
        while self._bytes > TEXT_CACHE_BYTES and len(self._rows) > 1:
            self._bytes -= _size_of(self._rows.popitem(last=False)[1])
        return {name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]}


def _size_of(row: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in row.values())
