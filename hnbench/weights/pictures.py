"""Preprocessing of saved pictures for a vision tower, as each reward's authors publish it. Not
differentiable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor


def to_bytes(pictures: Sequence[Image]) -> Tensor:
    """The 8-bit values `[B, 3, H, W]` of pictures of one size."""
    return torch.stack(
        [torch.from_numpy(np.array(rgb(picture))).permute(2, 0, 1) for picture in pictures]
    )


def centre_cropped(picture: Image, size: int = 224) -> Tensor:
    """ImageReward's and OpenAI CLIP's input `[3, size, size]`: Pillow's bicubic resize of the short
    side in 8 bits, cropped to the centre and normalised.
    """
    resized = transforms.resize(rgb(picture), [size], InterpolationMode.BICUBIC)
    return _normalised(_to_float(transforms.center_crop(resized, [size, size])))


def letterboxed(picture: Image, size: int = 224, *, antialias: bool = True) -> Tensor:
    """HPSv2's input `[3, size, size]`: the long side resized as a tensor (bicubic), centred in a
    black square and normalised. Nothing is cropped.

    HPSv2 takes torchvision's default for `antialias`, which was False for tensors before 0.17 and
    is True since.
    """
    pixels = _to_float(picture)
    height, width = pixels.shape[-2:]
    scale = size / max(height, width)
    if scale != 1:
        height, width = round(height * scale), round(width * scale)
        pixels = transforms.resize(
            pixels, [height, width], InterpolationMode.BICUBIC, antialias=antialias
        )
        top, left = (size - height) // 2, (size - width) // 2
        pixels = transforms.pad(
            pixels, [left, top, size - width - left, size - height - top], fill=0
        )
    return _normalised(pixels)


def _to_float(picture: Image) -> Tensor:
    return to_bytes([picture])[0].float() / 255


def _normalised(pixels: Tensor) -> Tensor:
    normalised: Tensor = transforms.normalize(pixels, list(OPENAI_MEAN), list(OPENAI_STD))
    return normalised
