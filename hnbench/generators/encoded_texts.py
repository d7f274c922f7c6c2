"""Encoded texts, kept so that a text is not encoded again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

TEXT_CACHE_BYTES = 4 * 2**30
"""So much encoded text is kept, on the CPU; beyond it the texts that were not asked for the longest
are encoded again.
"""


class EncodedTexts:
    """Prompt -> its named tensors, on the CPU."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Mapping[str, Tensor]] = OrderedDict()
        self._bytes = 0

    def missing(self, prompts: Sequence[str]) -> list[str]:
        """Those of the prompts that are not kept, each once, in order."""
        return [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rows]

    def keep(self, prompt: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep what a prompt was encoded to: tensors without the dimension of the batch."""
        self._rows[prompt] = row = {name: tensor.cpu() for name, tensor in tensors.items()}
        self._bytes += _size_of(row)

    def batch(self, prompts: Sequence[str], device: torch.device) -> dict[str, Tensor]:
        """The named tensors of prompts that are kept, `[len(prompts), ...]`; then what is too much
        is forgotten.
        """
        rows = [self._rows[prompt] for prompt in prompts]
        for prompt in prompts:
            self._rows.move_to_end(prompt)
        while self._bytes > TEXT_CACHE_BYTES and len(self._rows) > 1:
            self._bytes -= _size_of(self._rows.popitem(last=False)[1])
        return {name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]}


def _size_of(row: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in row.values())
