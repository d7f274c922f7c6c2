"""Aesthetic: LAION's improved aesthetic predictor. It predicts how much people would like an image,
from about 1 to 10. The prompt plays no part.

A linear head on the normalised image features of CLIP ViT-L/14 (Schuhmann et al., arXiv
2210.08402).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from hnbench.errors import UsageError
from hnbench.rewards.checkpoint import load_clip_model
from hnbench.rewards.linear_head import linear_head
from hnbench.rewards.network import NetworkReward
from hnbench.rewards.published import make_published
from hnbench.rewards.sources import AESTHETIC
from hnbench.seeds import digest
from hnbench.weights.checkpoint import fill, read_weights
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.pictures import centre_cropped
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD, Pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


class AestheticReward(NetworkReward):
    """The reward of a head's file and a folder with the CLIPModel that it was trained on."""

    def __init__(
        self,
        head: Path,
        clip: Path,
        *,
        name: str,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        source: str = "",
    ) -> None:
        model = load_clip_model(clip, dtype)
        self.vision, self.projection = model.vision_model, model.visual_projection
        self.head = linear_head(self.projection.out_features)
        fill(self.head, _weights(head), head)
        for part, type_ in (
            (self.vision, dtype),
            (self.projection, dtype),
            (self.head, torch.float32),
        ):
            part.to(device, type_).requires_grad_(False).eval()
        self._dtype = dtype
        size = model.config.vision_config.image_size
        prints = [
            fingerprint_of(head.parent, [head.name]),
            fingerprint_of(clip, AESTHETIC[1].files),
        ]
        super().__init__(
            name=name,
            fingerprint=digest(["head of normalised features", *prints]),
            source=source,
            pixels=Pixels(size, OPENAI_MEAN, OPENAI_STD, device),
            published=lambda picture: centre_cropped(picture, size),
        )

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"image tower": self.vision}

    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:  # noqa: ARG002
        features = self.projection(self.vision(pixels.to(self._dtype)).pooler_output)
        score: Tensor = self.head(functional.normalize(features.float(), dim=-1))[:, 0]
        return score


def _weights(path: Path) -> dict[str, Tensor]:
    found = read_weights(path)
    if not isinstance(found, dict):
        raise UsageError(
            f"{path} holds no weights by name; it must be the head of LAION's aesthetic predictor"
        )
    # The authors' module keeps its layers in an attribute `layers`.
    return {name.removeprefix("layers."): value for name, value in found.items()}


def load(*, device: str, dtype: str, where: str = "") -> AestheticReward:
    """The head that was trained on SAC, logos and AVA, on OpenAI's CLIP."""
    return make_published(
        AestheticReward, "aesthetic", AESTHETIC, where=where, device=device, dtype=dtype
    )
