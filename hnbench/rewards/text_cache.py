"""Text features, computed once per prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


class TextCache:
    """Prompt -> feature row. `encode` maps a list of prompts to `[B, D]` and is called with new prompts only."""

    def __init__(self, encode: Callable[[list[str]], Tensor]) -> None:
        self._encode = encode
        self._rows: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Features `[len(prompts), D]`, without gradient."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rows]
        if new:
            self._rows.update(zip(new, self._encode(new), strict=True))
        return torch.stack([self._rows[prompt] for prompt in prompts])
