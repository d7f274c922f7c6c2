"""Converts any picture to 8-bit RGB; pictures with more bits are scaled, not clipped.

Pillow's `convert("RGB")` cuts grey values off at 255, so that a 16-bit picture is nearly white.
Here they are scaled. Transparency is dropped and the colours beneath it are kept, as in the
published evaluations, which call `convert("RGB")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

_PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}
_SIXTEEN_BITS = 65535


def rgb(picture: Image.Image) -> Image.Image:
    """The picture in mode RGB.

    White is 65535 in the modes of 16 bits. Modes I and F define no white: it is taken to be the
    smallest of 1 (F only), 255 and 65535 that no value exceeds. Values that are negative, larger or
    not numbers are a `ValueError`, and so is a mode that Pillow cannot convert (LAB).
    """
    if picture.mode.startswith("I;16"):
        return _scaled(picture, [_SIXTEEN_BITS])
    if picture.mode in ("I", "F"):
        return _scaled(
            picture, [255, _SIXTEEN_BITS] if picture.mode == "I" else [1, 255, _SIXTEEN_BITS]
        )
    picture = (
        picture.convert(_PREMULTIPLIED[picture.mode]) if picture.mode in _PREMULTIPLIED else picture
    )
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")  # else Pillow warns about a palette's transparency
    return picture.convert("RGB")


def _scaled(picture: Image.Image, whites: Sequence[int]) -> Image.Image:
    """A grey picture of wide numbers, with the first of `whites` that holds all values as white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.float64)
    fitting = [white for white in whites if values.min() >= 0 and values.max() <= white]
    if not fitting:
        raise ValueError(
            f"grey values from {values.min()} to {values.max()} are not a picture; they must lie"
            f" between 0 and {whites[-1]}"
        )
    return Image.fromarray(np.rint(values * (255 / fitting[0])).astype(np.uint8)).convert("RGB")
