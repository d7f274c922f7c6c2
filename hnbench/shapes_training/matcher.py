"""The cross-attention reward: BLIP's image-text matching (Li et al., arXiv 2201.12086), as
transformers' BlipForImageTextRetrieval.

A dual encoder sees the text only as a vector. Here each word of the text looks at the image's
patches, so that the reward's gradient says which patch is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hnbench.shapes.world import SIZE
from hnbench.shapes_training import tokenizer as vocabulary
from hnbench.shapes_training.encoders import GRID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH = 64
"""The width of both transformers."""
_PROJECTED = 8
"""The width of BLIP's projections for retrieval, which are not trained and not used."""


class Matcher(nn.Module):
    """A ViT of 4 layers and a text transformer of 2 layers with cross-attention to its patches."""

    def __init__(self) -> None:
        from transformers import BlipConfig, BlipForImageTextRetrieval

        super().__init__()
        self.tokenizer = vocabulary.build()
        ids = {name: getattr(self.tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
        shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4}
        self.model = BlipForImageTextRetrieval(
            BlipConfig(
                vision_config={
                    **shared,
                    "image_size": SIZE,
                    "patch_size": SIZE // GRID,
                    "num_hidden_layers": 4,
                    "hidden_act": "gelu",
                },
                text_config={
                    **shared,
                    **{f"{name}_token_id": value for name, value in ids.items()},
                    "sep_token_id": ids["eos"],
                    "encoder_hidden_size": WIDTH,
                    "vocab_size": len(self.tokenizer),
                    "max_position_embeddings": vocabulary.MAX_TOKENS,
                    "num_hidden_layers": 2,
                    "is_decoder": True,
                    "hidden_act": "gelu",
                    "hidden_dropout_prob": 0.0,
                    "attention_probs_dropout_prob": 0.0,
                },
                projection_dim=_PROJECTED,
                image_text_hidden_size=_PROJECTED,
            )
        )

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def seen(self, images: Tensor) -> Tensor:
        """The class token and the patches `[B, 65, C]` of images `[B, 3, 64, 64]` in [0, 1]."""
        found: Tensor = self.model.vision_model(images.to(self.device) * 2 - 1).last_hidden_state
        return found

    def match(self, seen: Tensor, texts: Sequence[str]) -> Tensor:
        """The logit `[B]` that each text is true of the image with the given `seen`."""
        tokens = self.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.device)
        read = self.model.text_encoder(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            encoder_hidden_states=seen,
            is_decoder=False,
        ).last_hidden_state[:, 0]
        false, true = self.model.itm_head(read).unbind(1)
        logit: Tensor = true - false
        return logit

    def score(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """The logit `[B]` that each text is true of its image."""
        return self.match(self.seen(images), texts)

    def save(self, folder: Path) -> None:
        """Save in the layout that the reward loads."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
