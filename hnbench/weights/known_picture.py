"""A picture with known content, to check judges: one that does not find it is not used.

A broken installation may raise no error: its scores are all zero, or plausible. So every judge is
checked on this picture first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.weights.quiet import import_matplotlib
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from PIL import Image

PRESENT = "a person"
ABSENT = (
    "a bicycle",
    "a zebra",
    "a pizza",
    "a bathtub",
    "an elephant",
    "a train",
    "a banana",
    "a giraffe",
    "a toilet",
)
"""Things that the photograph does not show. There are enough of them that a broken judge rarely
ranks `PRESENT`, which it does show, first by chance.
"""
BOX = (0.02, 0.035, 1.0, 1.0)
"""The person's place: left, top, right, bottom as fractions of the picture's width and height."""


def photograph() -> Image.Image:
    """A photograph of a person in uniform, from the chest upwards, in front of a flag on the left
    and a plain wall: RGB, 512 x 600 pixels.

    It is the US Navy's photograph of Grace Hopper, in the public domain, and comes with matplotlib.
    A matplotlib without it is a `UsageError`.
    """
    import_matplotlib()
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    name = "grace_hopper.jpg"
    try:
        with Image.open(get_sample_data(name, asfileobj=False)) as image:
            return rgb(image)
    except OSError as error:
        raise UsageError(
            f"judges are checked with matplotlib's {name}, which cannot be read ({error});"
            " reinstall matplotlib from PyPI"
        ) from error


def distrusted(part: str, expected: str, found: str) -> UsageError:
    """The error for a part of a judge that failed on known content: what it should have found, and
    what it found.
    """
    return UsageError(
        f"{part} was shown a picture with known content, expected {expected}, and found {found};"
        " its scores would mean nothing. Try `device` cpu; if that does not help, download its"
        " weights again, or install the versions in constraints.txt"
    )
