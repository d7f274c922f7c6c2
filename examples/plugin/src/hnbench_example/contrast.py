"""A measure: the contrast of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.measures.base import ImageMeasure
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image


class Contrast(ImageMeasure):
    """The standard deviation of the grey levels, divided by 255."""

    name = "contrast"
    about = "RMS contrast of the grey image, in [0, 0.5]"
    higher_is_better = None

    @property
    def fingerprint(self) -> str:
        return digest([self.name, 1])

    def values(
        self,
        pictures: Sequence[Image],
        prompts: Sequence[str],  # noqa: ARG002
    ) -> list[float]:
        return [float(np.asarray(picture.convert("L")).std()) / 255 for picture in pictures]


def load(device: str) -> Contrast:  # noqa: ARG001
    """The measure, for hnbench's registry."""
    return Contrast()
