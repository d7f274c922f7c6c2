"""The picture with known content that judges are checked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def photograph() -> Image:
    """A photograph of a person in uniform (Grace Hopper; public domain), RGB, 512x600, as matplotlib ships it."""
    from matplotlib.cbook import get_sample_data
    from PIL import Image as Pictures

    with Pictures.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        return file.convert("RGB")
