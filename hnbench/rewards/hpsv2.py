"""HPSv2 and HPSv2.1: how well people would rate an image for a prompt (Wu et al., arXiv
2306.09341).

The score is the cosine from an OpenCLIP ViT-H-14 that was trained further, without a logit scale:
about 0.2 to 0.3. The checkpoints have the keys of open_clip's own model. The published code
computes in float16 on a GPU, where neighbouring scores are 2.4e-4 apart; here the run's type is
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import open_clip
import torch
from accelerate import init_empty_weights

from hnbench.errors import UsageError
from hnbench.rewards.dual_encoder import DualEncoder
from hnbench.rewards.open_clip import build
from hnbench.rewards.published import make_published
from hnbench.rewards.sources import HPSV2_0, HPSV2_1
from hnbench.seeds import digest
from hnbench.weights.checkpoint import fill, read_weights
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.pictures import letterboxed
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD, Pixels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor, nn

    from hnbench.weights.hub import Source

ARCHITECTURE = "ViT-H-14"


class Hpsv2Reward(DualEncoder):
    """The reward of a checkpoint of HPSv2; `config` is its architecture, as in open_clip."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        config: Mapping[str, Any],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        source: str = "",
    ) -> None:
        # Without memory for weights, which `fill` takes from the checkpoint.
        with init_empty_weights(include_buffers=False):
            self.model = build(config)
        fill(self.model, _weights(path), path)
        self.model.to(device, dtype).requires_grad_(False).eval()
        self.tokenizer = open_clip.SimpleTokenizer(
            context_length=config["text_cfg"]["context_length"]
        )
        self._device, self._dtype = device, dtype
        self._size: int = config["vision_cfg"]["image_size"]
        super().__init__(
            name=name,
            fingerprint=digest(["cosine, letterboxed", fingerprint_of(path.parent, [path.name])]),
            source=source,
            pixels=Pixels(self._size, OPENAI_MEAN, OPENAI_STD, device),
            published=self.prepared,
        )

    def prepared(self, picture: Image, *, antialias: bool = True) -> Tensor:
        """The network's input `[3, h, w]` for a picture; see `letterboxed` for `antialias`."""
        return letterboxed(picture, self._size, antialias=antialias)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"image tower": self.model.visual}

    def encode_text(self, prompts: list[str]) -> Tensor:
        features: Tensor = self.model.encode_text(self.tokenizer(prompts).to(self._device))
        return features

    def encode_image(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.model.encode_image(pixels.to(self._dtype))
        return features

    def scale(self) -> float:
        return 1.0  # the published score is the bare cosine


def _weights(path: Path) -> Mapping[str, Tensor]:
    found = read_weights(path)
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise UsageError(
            f"{path} has no 'state_dict'; it must be a checkpoint of HPSv2, such as"
            " HPS_v2.1_compressed.pt"
        )
    weights: dict[str, Tensor] = found["state_dict"]
    return weights


def load_v20(*, device: str, dtype: str, where: str = "") -> Hpsv2Reward:
    """HPSv2.0."""
    return _load("hpsv2.0", HPSV2_0, where, device, dtype)


def load_v21(*, device: str, dtype: str, where: str = "") -> Hpsv2Reward:
    """HPSv2.1."""
    return _load("hpsv2.1", HPSV2_1, where, device, dtype)


def _load(
    name: str, sources: tuple[Source, ...], where: str, device: str, dtype: str
) -> Hpsv2Reward:
    config = open_clip.get_model_config(ARCHITECTURE)
    return make_published(
        Hpsv2Reward, name, sources, where=where, device=device, dtype=dtype, config=config
    )
