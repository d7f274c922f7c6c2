"""CLIP score for models of the open_clip library: any architecture that its configuration can describe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoTokenizer

from hnbench.fingerprint import fingerprint_of
from hnbench.rewards.base import Reward
from hnbench.rewards.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


class OpenClipReward(Reward):
    """A folder with `open_clip_config.json`, `open_clip_model.safetensors` and a tokenizer.

    Images in [0, 1] are normalised with `mean` and `std` and resized bilinearly to the model's input.
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
        self.name = name
        config: dict[str, Any] = json.loads((folder / "open_clip_config.json").read_text("utf-8"))["model_cfg"]
        self.model = CLIP(config["embed_dim"], CLIPVisionCfg(**config["vision_cfg"]), CLIPTextCfg(**config["text_cfg"]))
        self.model.load_state_dict(load_file(folder / "open_clip_model.safetensors"), strict=True)
        self.model.to(device, dtype).requires_grad_(False).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._fingerprint = fingerprint_of(folder)
        self._length = config["text_cfg"]["context_length"]
        self._size = config["vision_cfg"]["image_size"]
        self._statistics = (
            torch.tensor(mean, device=device)[:, None, None],
            torch.tensor(std, device=device)[:, None, None],
        )
        self._dtype = dtype
        self._text = TextCache(self._encode_text)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def _encode_text(self, prompts: list[str]) -> Tensor:
        ids = self.tokenizer(prompts, padding="max_length", truncation=True, max_length=self._length, return_tensors="pt").input_ids
        features: Tensor = self.model.encode_text(ids.to(self._statistics[0].device))
        return functional.normalize(features.float(), dim=-1)

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        mean, std = self._statistics
        pixels = functional.interpolate((images - mean) / std, size=(self._size, self._size), mode="bilinear", align_corners=False)
        features = functional.normalize(self.model.encode_image(pixels.to(self._dtype)).float(), dim=-1)
        found: Tensor = self.model.logit_scale.float().exp() * (features * self._text(prompts)).sum(-1)
        return found
