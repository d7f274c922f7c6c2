"""OpenCV's bilinear resize of 8-bit images, to the last bit and without OpenCV.

mmdet resizes images with it before it detects objects. OpenCV computes in integers, with weights of
11 bits and intermediate values cut to 16 bits. A resize in floating point differs by one grey level
in places, and that of another library by more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int32]

ONE = 2048
"""The weight 1.0 in fixed point."""


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """An image `[h, w, 3]` resized to `[height, width, 3]`, equal to `cv2.resize(image, (width,
    height))`.
    """
    values: Integers = image.astype(np.int32)
    # OpenCV has another way for exactly half the size: the mean of four pixels.
    if image.shape[:2] == (2 * height, 2 * width):
        blocks: Integers = values.reshape(height, 2, width, 2, -1).sum((1, 3))
        return ((blocks + 2) >> 2).astype(np.uint8)
    first, second, low, high = _neighbours(image.shape[1], width, beyond=False)
    rows = values[:, first] * low[:, None] + values[:, second] * high[:, None]
    # The shifts are those of OpenCV: 4, 16 and 2 bits, together the 22 bits of the two weights.
    rows >>= 4
    first, second, low, high = _neighbours(image.shape[0], height, beyond=True)
    mixed: Integers = (rows[first] * low[:, None, None] >> 16) + (
        rows[second] * high[:, None, None] >> 16
    )
    return ((mixed + 2) >> 2).clip(0, 255).astype(np.uint8)


def _neighbours(
    before: int, after: int, *, beyond: bool
) -> tuple[Integers, Integers, Integers, Integers]:
    """For each new position, the two nearest old positions and their weights in fixed point.

    At the borders, both old positions are the outermost one. Along rows, one of them then has the
    whole weight; along columns (`beyond`), both keep their weights, and OpenCV rounds each of the
    two products.
    """
    position = ((np.arange(after) + 0.5) * (before / after) - 0.5).astype(np.float32)
    first = np.floor(position).astype(np.int32)
    share = position - first.astype(np.float32)
    if not beyond:
        share[(first < 0) | (first >= before - 1)] = 0
    high, low = (
        np.rint(part * np.float32(ONE)).astype(np.int32) for part in (share, np.float32(1) - share)
    )
    return first.clip(0, before - 1), (first + 1).clip(0, before - 1), low, high
