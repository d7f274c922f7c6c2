"""Differentiable preprocessing of image tensors for a vision tower.

ReNO (arXiv 2406.04312) and HyperNoise (arXiv 2508.09968) give all their rewards the same input: the
short side resized (bicubic, antialiased), cropped to the centre, normalised. In a mixture of such
rewards it is computed only once.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from torch import Tensor

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
"""The statistics that CLIP (Radford et al., arXiv 2103.00020) and most later models were trained
with.
"""

_shared: ContextVar[dict[Hashable, tuple[Tensor, Tensor]] | None] = ContextVar(
    "shared pixels", default=None
)


@contextmanager
def shared_pixels() -> Iterator[None]:
    """Within the block, equal `Pixels` of the same tensor are computed only once, as a part of one
    autograd graph. An inner block shares with the outer one.
    """
    if _shared.get() is not None:
        yield
        return
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


class Pixels:
    """Images `[B, 3, H, W]` in [0, 1] -> `[B, 3, size, size]`, normalised, in float32 or the
    images' wider type.
    """

    def __init__(
        self, size: int, mean: Sequence[float], std: Sequence[float], device: str | torch.device
    ) -> None:
        self.size = size
        # In float64, so that images of any type lose nothing.
        self._mean, self._std = (
            torch.tensor(values, device=device, dtype=torch.float64)[:, None, None]
            for values in (mean, std)
        )
        self._key = (size, tuple(mean), tuple(std), str(device))

    def __call__(self, images: Tensor) -> Tensor:
        shared = _shared.get()
        if shared is None:
            return self._prepare(images)
        key = (id(images), self._key)
        if key not in shared:
            # The images are kept too, so that no other tensor can take their id meanwhile.
            shared[key] = (images, self._prepare(images))
        return shared[key][1]

    def _prepare(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            from torchvision.transforms.v2 import functional as transforms

            images = images.to(torch.promote_types(images.dtype, torch.float32))
            resized = transforms.resize(
                images, [self.size], transforms.InterpolationMode.BICUBIC, antialias=True
            )
            images = transforms.center_crop(resized, [self.size, self.size])
        dtype = torch.promote_types(images.dtype, torch.float32)
        return (images - self._mean.to(dtype)) / self._std.to(dtype)
