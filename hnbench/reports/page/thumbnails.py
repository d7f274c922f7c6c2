"""Small pictures that a page contains, so that it can be sent as one file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hnbench.reports.page.document import data_uri
from hnbench.reports.pictures import DamagedPictureError, picture_of

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 256
"""Pixels; larger images are reduced."""
_EXACT = 128
"""Images up to this width are kept without loss: they are small, and drawn with hard edges."""
_QUALITY = 80


def thumbnail(path: Path) -> str | None:
    """An image as an address that contains it in WebP; None if it is missing or damaged."""
    try:
        picture = picture_of(path, WIDTH)
    except DamagedPictureError:
        return None
    content = io.BytesIO()
    picture.save(content, "WEBP", lossless=picture.width <= _EXACT, quality=_QUALITY)
    return data_uri(content.getvalue(), "image/webp")
