"""CLIP score: the scaled cosine between image and text features, for checkpoints of transformers' CLIPModel.

Radford et al., arXiv 2103.00020. The score is exp(logit_scale) * cos, as ReNO (arXiv 2406.04312) uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers import AutoTokenizer, CLIPModel

from hnbench.fingerprint import fingerprint_of
from hnbench.quiet import quiet_loading
from hnbench.rewards.base import Reward
from hnbench.rewards.text_cache import TextCache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


class ClipReward(Reward):
    """A CLIPModel folder as a reward.

    `mean` and `std` are the statistics that images in [0, 1] are normalised with. Images of another size than the model's are
    resized (bicubic, antialiased, short side first) and cropped at the centre.
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
        with quiet_loading():
            self.model = CLIPModel.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
        self.model.to(device).requires_grad_(False).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._fingerprint = fingerprint_of(folder)
        self._statistics = (
            torch.tensor(mean, device=device)[:, None, None],
            torch.tensor(std, device=device)[:, None, None],
        )
        self._size = self.model.config.vision_config.image_size
        self._text = TextCache(self._encode_text)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def _encode_text(self, prompts: list[str]) -> Tensor:
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt").to(
            self.model.device
        )
        pooled = self.model.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).pooler_output
        return functional.normalize(self.model.text_projection(pooled).float(), dim=-1)

    def _pixels(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self._size, self._size):
            from torchvision.transforms.v2 import functional as transforms

            resized = transforms.resize(images, [self._size], transforms.InterpolationMode.BICUBIC, antialias=True)
            images = transforms.center_crop(resized, [self._size, self._size])
        mean, std = self._statistics
        return ((images - mean) / std).to(self.model.dtype)

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        pooled = self.model.vision_model(self._pixels(images)).pooler_output
        features = functional.normalize(self.model.visual_projection(pooled).float(), dim=-1)
        found: Tensor = self.model.logit_scale.float().exp() * (features * self._text(prompts)).sum(-1)
        return found
