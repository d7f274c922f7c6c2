"""BLIP's image-text matching: the logit that a text is true of an image, for checkpoints of
transformers' BlipForImageTextRetrieval.

Li et al., arXiv 2201.12086, section 3.2. The text is read with cross-attention to the image, so
that its features cannot be computed once per prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AutoTokenizer, BlipForImageTextRetrieval

from hnbench.rewards.network import NetworkReward
from hnbench.rewards.text_cache import TextCache
from hnbench.weights.checkpoint import load_pretrained
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.pixels import Pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


class BlipReward(NetworkReward):
    """The reward of a folder with a BlipForImageTextRetrieval and its tokenizer: the logit of a
    match minus that of no match.

    `mean` and `std` normalise images in [0, 1]. Images of another size than the model's are resized
    (bicubic, antialiased, by the short side) and cropped to the centre.
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
        model = load_pretrained(BlipForImageTextRetrieval, folder)
        self.model = model.to(device, dtype)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._dtype = dtype
        self._text = TextCache(self._tokens)
        super().__init__(
            name=name,
            fingerprint=fingerprint_of(folder),
            source="",
            pixels=Pixels(self.model.config.vision_config.image_size, mean, std, device),
            published=None,
        )

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"image tower": self.model.vision_model}

    def _tokens(self, prompts: list[str]) -> Tensor:
        """Token numbers and mask, `[B, 2, L]`."""
        found = self.tokenizer(
            prompts,
            padding="max_length",
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        tokens = torch.stack([found.input_ids, found.attention_mask], dim=1)
        return tokens.to(self.model.device)

    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        seen = self.model.vision_model(pixels.to(self._dtype)).last_hidden_state
        ids, mask = self._text(prompts).unbind(1)
        # The term that is added to the attention; a mask of zeros and ones would be read first,
        # which waits for the device.
        hidden = (1 - mask[:, None, None, :]).to(seen.dtype) * torch.finfo(seen.dtype).min
        read = self.model.text_encoder(
            input_ids=ids, attention_mask=hidden, encoder_hidden_states=seen, is_decoder=False
        )
        logits: Tensor = self.model.itm_head(read.last_hidden_state[:, 0]).float()
        return logits[:, 1] - logits[:, 0]
