"""The pictures for checks of plug-ins, the same in every check."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

PROMPTS = ("a red circle above a blue square", "two green triangles", "a photo of a cat")


def images(count: int, size: int) -> Tensor:
    """Smooth random images, float32 `[count, 3, size, size]` in [0, 1] on the CPU."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand((count, 3, 4, 4), generator=draw)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def pictures(count: int, size: int) -> list[Image.Image]:
    """The same images as RGB pictures."""
    levels = (images(count, size) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return [Image.fromarray(one.numpy()) for one in levels]
