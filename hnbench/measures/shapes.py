"""The measures of the embedded world: the published formulas, applied to the image features of its
held-out reward, shapes-efficientnet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hnbench.measures.diversity import Similarity, Vendi
from hnbench.measures.features import Features
from hnbench.measures.fidelity import FrechetDistance, MeanDiscrepancy
from hnbench.seeds import digest
from hnbench.shapes.models import load_efficientnet
from hnbench.weights.pictures import to_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor


class ShapesFeatures(Features):
    """The image features of shapes-efficientnet, divided by their norm."""

    about = "the unit image features of shapes-efficientnet"

    def __init__(self, device: str) -> None:
        self._reward, self._device = load_efficientnet(device=device, dtype="float32"), device

    @property
    def fingerprint(self) -> str:
        return digest(["unit image features 1", self._reward.fingerprint])

    @torch.inference_mode()
    def of(self, pictures: Sequence[Image]) -> Tensor:
        # Pictures of different sizes do not fit into one batch.
        alike = len({picture.size for picture in pictures}) == 1
        batches = [pictures] if alike else [[picture] for picture in pictures]
        return torch.cat(
            [
                self._reward.image_features(to_bytes(batch).to(self._device).float() / 255)
                for batch in batches
            ]
        ).cpu()


def similarity(device: str) -> Similarity:
    """The measure `shapes-similarity`."""
    return Similarity("shapes-similarity", ShapesFeatures(device))


def vendi(device: str) -> Vendi:
    """The measure `shapes-vendi`."""
    return Vendi("shapes-vendi", ShapesFeatures(device))


def mmd(device: str) -> MeanDiscrepancy:
    """The measure `shapes-mmd`."""
    return MeanDiscrepancy("shapes-mmd", ShapesFeatures(device))


def frechet(device: str) -> FrechetDistance:
    """The measure `shapes-fd`."""
    return FrechetDistance("shapes-fd", ShapesFeatures(device))
