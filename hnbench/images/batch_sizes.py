"""The batch sizes that fit a GPU for a judge and for a measure, found with one of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hnbench.images.inventory import decode_png
from hnbench.measures.base import ImageMeasure, PromptMeasure, SetMeasure
from hnbench.runs.batch_sizes import fitting_size

if TYPE_CHECKING:
    from hnbench.images.inventory import FoundImage
    from hnbench.measures.base import Measure
    from hnbench.suites.base import Judge


def fitting_judge(judge: Judge, image: FoundImage, device: str) -> int:
    """The number of images like this one that the judge can judge at a time."""
    picture = decode_png(image.read())
    return fitting_size(
        {"judge": judge.fingerprint, "size": picture.size},
        lambda count: judge.judge([picture] * count, [image.prompt.metadata] * count),
        torch.device(device),
    )


def fitting_measure(measure: Measure, image: FoundImage, device: str) -> int:
    """The number of images like this one that can be measured at a time."""
    picture = decode_png(image.read())

    def work(count: int) -> object:
        pictures = [picture] * count
        if isinstance(measure, SetMeasure):
            return measure.features(pictures)
        if isinstance(measure, PromptMeasure):
            return measure.values([[picture, *pictures]])  # one image has no diversity
        assert isinstance(measure, ImageMeasure)  # noqa: S101
        return measure.values(pictures, [image.prompt.text] * count)

    return fitting_size(
        {"measure": measure.fingerprint, "size": picture.size}, work, torch.device(device)
    )
