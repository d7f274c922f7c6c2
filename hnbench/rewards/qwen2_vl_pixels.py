"""The input of Qwen2-VL's vision transformer: the size that an image is resized to, and its
patches.

Wang et al., "Qwen2-VL", arXiv 2409.12191, section 2.1.
"""

from __future__ import annotations

from math import ceil, floor, sqrt
from typing import TYPE_CHECKING

import torch
from PIL.Image import Resampling
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from hnbench.errors import UsageError
from hnbench.weights.pictures import to_bytes
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

LARGEST_RATIO = 200
"""The largest ratio of the sides."""


def resized_sides(height: int, width: int, factor: int, pixels: int) -> tuple[int, int]:
    """Height and width that are multiples of `factor`, nearly in the same ratio, with `pixels`
    pixels or as few less as that allows. An image whose multiples have too few pixels gets as few
    more as that allows.

    `UsageError` for a ratio above `LARGEST_RATIO`.

    >>> resized_sides(512, 512, 28, 256 * 28 * 28)
    (448, 448)
    """
    if max(height, width) > LARGEST_RATIO * min(height, width):
        raise UsageError(
            f"an image of {width} x {height} pixels is too narrow for Qwen2-VL, which takes sides"
            f" up to {LARGEST_RATIO}:1"
        )
    near = tuple(max(factor, round(side / factor) * factor) for side in (height, width))
    if near[0] * near[1] == pixels:
        return near[0], near[1]
    scale = sqrt(pixels / (height * width))
    to_whole = floor if near[0] * near[1] > pixels else ceil
    found = [to_whole(side * scale / factor) * factor for side in (height, width)]
    return max(factor, found[0]), max(factor, found[1])


class FlexiblePixels:
    """Images -> the transformer's input, in their own ratio; see `resized_sides`. `device` is that
    of the images.
    """

    def __init__(self, factor: int, pixels: int, device: str) -> None:
        self._factor, self._pixels = factor, pixels
        # In float64, so that images of any type lose nothing.
        self._mean, self._std = (
            torch.tensor(values, device=device, dtype=torch.float64)[:, None, None]
            for values in (OPENAI_MEAN, OPENAI_STD)
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` in [0, 1] -> `[B, 3, h, w]`, resized (bicubic, antialiased) and
        normalised, differentiably, in float32 or the images' wider type.
        """
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        height, width = images.shape[-2:]
        sides = resized_sides(height, width, self._factor, self._pixels)
        if sides != (height, width):
            images = transforms.resize(
                images, list(sides), InterpolationMode.BICUBIC, antialias=True
            )
        return (images - self._mean.to(images.dtype)) / self._std.to(images.dtype)

    def of_picture(self, picture: Image) -> Tensor:
        """A saved picture -> `[3, h, w]`: Pillow's bicubic resize in 8 bits, and normalised."""
        height, width = resized_sides(picture.height, picture.width, self._factor, self._pixels)
        resized = rgb(picture).resize((width, height), Resampling.BICUBIC)
        pixels = to_bytes([resized])[0].float() / 255
        normalised: Tensor = transforms.normalize(pixels, list(OPENAI_MEAN), list(OPENAI_STD))
        return normalised


def patches_of(pixels: Tensor, patch: int, frames: int, merge: int) -> Tensor:
    """The patches `[N, 3 * frames * patch**2]` of an image `[3, h, w]`, which stands for `frames`
    equal ones. Those that the model merges, `merge` by `merge`, are neighbours.
    """
    rows, columns = pixels.shape[-2] // patch, pixels.shape[-1] // patch
    cut = pixels.reshape(3, rows // merge, merge, patch, columns // merge, merge, patch)
    ordered = cut.permute(1, 4, 2, 5, 0, 3, 6)
    repeated = ordered[:, :, :, :, :, None].expand(-1, -1, -1, -1, -1, frames, -1, -1)
    return repeated.reshape(rows * columns, -1)


def patch_positions(rows: int, columns: int, merge: int) -> Tensor:
    """The row and the column `[N, 2]` of each patch, in the order of `patches_of`."""
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    blocks = places.reshape(rows // merge, merge, columns // merge, merge, 2)
    return blocks.transpose(1, 2).reshape(-1, 2)
