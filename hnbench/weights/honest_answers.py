"""Whether a vision-language model says yes to what a picture shows, and to nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.weights.known_picture import photograph

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

TRUE, FALSE = "Are there any people in the image?", "Are there any bicycles in the image?"
"""Questions about the photograph: a model must say yes to the first only."""


def require_honest(source: str, yes: Callable[[Image, str], float], instead: str) -> None:
    """Raise a `UsageError` unless the probability of `yes` to a question about a photograph is
    above one half for the true one, and below it for the false one. `source` is the model's, and
    `instead` shows how to name another model.
    """
    picture = photograph()
    true, false = (yes(picture, question) for question in (TRUE, FALSE))
    if not (true > 0.5 > false):
        raise UsageError(
            f"{source} cannot be trusted: of a photograph of a person it says yes to {TRUE!r} with"
            f" probability {true:.4g}, and to {FALSE!r} with {false:.4g}; give another model, as in"
            f" {instead}"
        )
