"""Images as they are saved: 8-bit values, RGB pictures and PNG files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


def quantise(image: Tensor) -> Tensor:
    """8-bit values of an image in [0, 1], on its device: clamped, times 255, rounded half to even;
    uint8.
    """
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def to_picture(pixels: Tensor) -> Image.Image:
    """The RGB picture of 8-bit values `[3, H, W]` on the CPU."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def to_png(image: Image.Image) -> bytes:
    """An image as a PNG file, without loss."""
    buffer = io.BytesIO()
    # Level 1 is several times faster than the default, and its files are only a tenth larger.
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()
