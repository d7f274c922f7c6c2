"""Text features, computed once per prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


class TextCache:
    """Prompt -> row of features. `encode` maps a list of prompts to `[B, D]`; it is called only
    with new prompts, one by one.

    If prompts were encoded together, the last digits of their features would depend on which ones
    are new at the same time, and that differs in a run that was interrupted.
    """

    def __init__(self, encode: Callable[[list[str]], Tensor]) -> None:
        self._encode = encode
        self._rows: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Features `[len(prompts), D]`, without gradient."""
        for prompt in prompts:
            if prompt not in self._rows:
                (self._rows[prompt],) = self._encode([prompt])
        return torch.stack([self._rows[prompt] for prompt in prompts])
