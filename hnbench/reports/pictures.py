"""The saved images of a run as pictures to show. A run folder may be anybody's, so damaged and
giant files are expected.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import PIL.Image

from hnbench.files.escaping import printable
from hnbench.files.reading import content_of

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    PIL.Image.DecompressionBombError,
    PIL.Image.DecompressionBombWarning,
)
"""The errors that reading a file and Pillow raise for damaged and for giant images, including
`MalformedError`, which is a `ValueError`.
"""


class DamagedPictureError(Exception):
    """An image cannot be shown; the message says which and why."""


def picture_of(path: Path, width: int) -> Image:
    """The picture of a PNG file in RGB, reduced to at most `width` pixels.
    `DamagedPictureError` if it is missing or unreadable.
    """
    try:
        content = io.BytesIO(content_of(path))
        with (
            warnings.catch_warnings(action="error", category=PIL.Image.DecompressionBombWarning),
            PIL.Image.open(content, formats=("PNG",)) as opened,
        ):
            picture = opened.convert("RGB")
    except PIL.UnidentifiedImageError as error:
        raise DamagedPictureError(f"{printable(path.name)} is not a PNG file") from error
    except _UNREADABLE as error:
        raise DamagedPictureError(
            f"{printable(path.name)} cannot be read ({printable(str(error))[:200]})"
        ) from error
    if picture.width > width:
        return picture.resize(
            (width, max(1, round(picture.height * width / picture.width))),
            PIL.Image.Resampling.LANCZOS,
        )
    return picture
