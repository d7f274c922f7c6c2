"""CLIP score for models of the open_clip library, of any architecture that its configuration can
describe.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoTokenizer

from hnbench.errors import UsageError
from hnbench.rewards.dual_encoder import DualEncoder
from hnbench.weights.checkpoint import fill
from hnbench.weights.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


_KNOWN = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}


def build(config: Mapping[str, Any]) -> CLIP:
    """The model of an open_clip configuration, with weights that are still meaningless.

    A key that would be ignored here but changes the score (`custom_text`, `init_logit_bias` and any
    unknown key) is a `UsageError`.
    """
    if unknown := sorted(
        name
        for name, value in config.items()
        if name not in _KNOWN and value is not None and value is not False
    ):
        raise UsageError(
            f"the open_clip configuration has {', '.join(unknown)}, which is not supported; known:"
            f" {', '.join(sorted(_KNOWN))}"
        )
    try:
        vision, text = CLIPVisionCfg(**config["vision_cfg"]), CLIPTextCfg(**config["text_cfg"])
        return CLIP(
            config["embed_dim"], vision, text, quick_gelu=bool(config.get("quick_gelu", False))
        )
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"the open_clip configuration cannot be used: {error}; give that of an image and a text"
            " tower"
        ) from error


class OpenClipReward(DualEncoder):
    """The reward of a folder with `open_clip_config.json`, `open_clip_model.safetensors` and a
    tokenizer.

    Images in [0, 1] are normalised with `mean` and `std` and resized bilinearly to the model's
    input.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        mean: Sequence[float],
        std: Sequence[float],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        config: dict[str, Any] = json.loads((folder / "open_clip_config.json").read_text("utf-8"))[
            "model_cfg"
        ]
        self.model = build(config)
        path = folder / "open_clip_model.safetensors"
        fill(self.model, load_file(path), path)
        # Before the weights are cast (see ClipReward).
        self._scale = float(self.model.logit_scale.detach().float().exp())
        self.model.to(device, dtype).requires_grad_(False).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._length = config["text_cfg"]["context_length"]
        self._size = config["vision_cfg"]["image_size"]
        self._mean, self._std = (
            torch.tensor(values, device=device)[:, None, None] for values in (mean, std)
        )
        self._dtype = dtype
        super().__init__(
            name=name,
            fingerprint=fingerprint_of(folder),
            source="",
            pixels=self._resized,
            published=None,
        )

    def _resized(self, images: Tensor) -> Tensor:
        normalised = (images - self._mean) / self._std
        return functional.interpolate(
            normalised, size=(self._size, self._size), mode="bilinear", align_corners=False
        )

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"image tower": self.model.visual}

    def encode_text(self, prompts: list[str]) -> Tensor:
        ids = self.tokenizer(
            prompts,
            padding="max_length",
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        ).input_ids
        features: Tensor = self.model.encode_text(ids.to(self._mean.device))
        return features

    def encode_image(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.model.encode_image(pixels.to(self._dtype))
        return features

    def scale(self) -> float:
        return self._scale
