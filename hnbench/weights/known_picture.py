"""A picture with known content: a judge that does not find what is there is not believed.

A broken installation raises no error: its scores are all zero, or plausible. So every judge is
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
"""What the photograph shows, and what it does not; enough of them that what it shows is rarely
ranked first by chance.
"""
BOX = (0.02, 0.035, 1.0, 1.0)
"""Where the person is: left, top, right, bottom in parts of the picture's width and height."""


def photograph() -> Image.Image:
    """A person in uniform, from the chest upwards, before a flag on the left and a plain wall: RGB,
    512 x 600 pixels.

    It is the US Navy's photograph of Grace Hopper, in the public domain, and comes with matplotlib;
    one without it is a `UsageError`.
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
            f"judges are checked with matplotlib's {name}, which is not there ({error}); reinstall"
            " matplotlib from PyPI"
        ) from error


def distrusted(part: str, expected: str, found: str) -> UsageError:
    """The error of a part of a judge that was shown known content: what it was to find there, and
    what it found.
    """
    return UsageError(
        f"{part} was shown a picture with known content, expected {expected}, and found {found};"
        " its scores would mean nothing. Try `device` cpu; if that does not help, download its"
        " weights again, or install the versions in constraints.txt"
    )
