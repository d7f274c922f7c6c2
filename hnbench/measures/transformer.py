"""Features of vision transformers of the transformers library: DINOv2's class token, and CLIP's
image embedding.

Oquab et al., arXiv 2304.07193; Radford et al., arXiv 2103.00020.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms
from transformers import CLIPVisionModelWithProjection, Dinov2Model

from hnbench.measures.features import Features
from hnbench.measures.sources import CLIP_336, DINOV2_BASE, DINOV2_LARGE
from hnbench.seeds import digest
from hnbench.weights.checkpoint import load_pretrained
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.hub import find
from hnbench.weights.pictures import centre_cropped, to_bytes
from hnbench.weights.rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from hnbench.weights.hub import Found, Source

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DINOV2_SIZE = 224
HUB_OFFSET = 0.1
"""The fraction of a patch that torch.hub's DINOv2 adds to the number of patches of a side, to avoid
rounding errors.
"""
_DINOV2_HEADS = r"(classifier|decode_head|head)\..*"
"""Unused tensors of DINOv2's checkpoints: heads for other tasks."""
_CLIP_TEXT = r"logit_scale|text_(model|projection)\..*"
"""Unused tensors of CLIP's checkpoints: the text tower."""


class TransformerFeatures(Features):
    """Features of a frozen vision transformer, loaded from a folder and computed in float32."""

    way: str
    """Names the preprocessing and pooling, with a version; part of the fingerprint."""

    def __init__(
        self,
        model: Any,
        folder: Path,
        device: str,
        *,
        about: str,
        source: str = "",
        patterns: Sequence[str] = (),
    ) -> None:
        self._model = model.to(device)
        self._weights = fingerprint_of(folder, *([patterns] if patterns else []))
        self._device, self.about, self.source = device, about, source

    @property
    def fingerprint(self) -> str:
        return digest([self.way, self._weights])

    @torch.inference_mode()
    def of(self, pictures: Sequence[Image]) -> Tensor:
        pixels = torch.stack([self.prepared(picture) for picture in pictures])
        return self.encoded(pixels.to(self._device)).float().cpu()

    @abstractmethod
    def prepared(self, picture: Image) -> Tensor:
        """The network's input `[3, h, w]`."""

    @abstractmethod
    def encoded(self, pixels: Tensor) -> Tensor:
        """Features `[B, D]` of the network's input `[B, 3, h, w]`."""


class Dinov2Features(TransformerFeatures):
    """The class token after the last layer norm, not normalised, of the whole picture at 224
    pixels.

    The picture is resized to a square by Pillow's bicubic resize to 8 bit (nothing is cropped) and
    normalised by ImageNet's statistics. This is the default of dgm-eval (Stein et al., arXiv
    2306.04675). dgm-eval loads DINOv2 from torch.hub, so positions are interpolated as there.
    """

    way = (
        "Dinov2Model, class token, whole picture to 224x224 by Pillow's bicubic, positions placed"
        " as by torch.hub 2"
    )

    def __init__(
        self, model: Any, folder: Path, device: str, *, offset: float = HUB_OFFSET, **origin: Any
    ) -> None:
        """`offset` is that of `positions`; 0 is transformers' own interpolation."""
        embeddings = model.embeddings
        table = positions(
            embeddings.position_embeddings, DINOV2_SIZE // model.config.patch_size, offset
        )
        embeddings.position_embeddings = nn.Parameter(table, requires_grad=False)
        super().__init__(model, folder, device, **origin)

    def prepared(self, picture: Image) -> Tensor:
        resized = transforms.resize(
            rgb(picture), [DINOV2_SIZE, DINOV2_SIZE], InterpolationMode.BICUBIC
        )
        pixels: Tensor = transforms.normalize(
            to_bytes([resized])[0].float() / 255, list(IMAGENET_MEAN), list(IMAGENET_STD)
        )
        return pixels

    def encoded(self, pixels: Tensor) -> Tensor:
        token: Tensor = self._model(pixels).last_hidden_state[:, 0]
        return token


def positions(table: Tensor, side: int, offset: float = HUB_OFFSET) -> Tensor:
    """The table of positions `[1, 1 + n * n, D]` (the class token's first), interpolated to `[1, 1
    + side * side, D]`.

    Both facebookresearch/dinov2 and transformers interpolate bicubically, the former with a step of
    n / (side + 0.1), the latter with n / side. On smooth tables, the two results differ by 2% to 7%
    of the norm for n = 37 and side = 16.
    """
    length = math.isqrt(table.shape[1] - 1)
    if length == side:
        return table
    grid = table[:, 1:].reshape(1, length, length, -1).permute(0, 3, 1, 2).float()
    placed = functional.interpolate(grid, scale_factor=(side + offset) / length, mode="bicubic")
    return torch.cat([table[:, :1], placed.flatten(2).transpose(1, 2)], 1)


class ClipFeatures(TransformerFeatures):
    """The projected image embedding of the picture's centre at the model's own size, divided by its
    norm.

    The short side is resized by Pillow's bicubic resize to 8 bit, then the centre is cropped. A
    square picture is not cropped.
    """

    way = "CLIPVisionModelWithProjection, unit embedding, centre by Pillow's bicubic 1"

    def prepared(self, picture: Image) -> Tensor:
        return centre_cropped(picture, self._model.config.image_size)

    def encoded(self, pixels: Tensor) -> Tensor:
        return functional.normalize(self._model(pixels).image_embeds, dim=-1)


def load_dinov2(
    source: Source, device: str, where: str = "", *, offset: float = HUB_OFFSET
) -> Dinov2Features:
    """The DINOv2 model of `source`, or the one that `where` names. `offset` is that of
    `positions`.
    """
    found = find((source,), where)
    return Dinov2Features(
        load_pretrained(Dinov2Model, found.folders[0], left_over=_DINOV2_HEADS),
        found.folders[0],
        device,
        offset=offset,
        **_origin(found, source),
    )


def dinov2_base(device: str, where: str = "") -> Dinov2Features:
    """DINOv2's ViT-B/14."""
    return load_dinov2(DINOV2_BASE, device, where)


def dinov2_large(device: str, where: str = "") -> Dinov2Features:
    """DINOv2's ViT-L/14."""
    return load_dinov2(DINOV2_LARGE, device, where)


def clip_336(device: str, where: str = "") -> ClipFeatures:
    """CLIP's ViT-L/14 at 336 pixels."""
    found = find((CLIP_336,), where)
    return ClipFeatures(
        load_pretrained(CLIPVisionModelWithProjection, found.folders[0], left_over=_CLIP_TEXT),
        found.folders[0],
        device,
        **_origin(found, CLIP_336),
    )


def _origin(found: Found, source: Source) -> dict[str, Any]:
    return {
        "about": found.origin.partition("@")[0],
        "source": found.origin,
        "patterns": source.files,
    }
