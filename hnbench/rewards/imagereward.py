"""ImageReward: how much people would like an image for a prompt (Xu et al., arXiv 2304.05977), from
about -2.3 to 2.

BLIP's text encoder reads the prompt (its first 35 tokens) with cross-attention to the image; a
linear head rates the first position. The published checkpoint has the keys of the authors' copy of
BLIP; here it is loaded into transformers' classes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import (
    BertTokenizer,
    BlipTextConfig,
    BlipTextModel,
    BlipVisionConfig,
    BlipVisionModel,
)

from hnbench.errors import UsageError
from hnbench.rewards.linear_head import linear_head
from hnbench.rewards.network import NetworkReward
from hnbench.rewards.published import make_published
from hnbench.rewards.sources import IMAGEREWARD
from hnbench.rewards.text_cache import TextCache
from hnbench.seeds import digest
from hnbench.weights.checkpoint import existing, fill, read_weights
from hnbench.weights.fingerprint import fingerprint_of
from hnbench.weights.pictures import centre_cropped
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD, Pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

TOKENS = 35
"""The tokens of a prompt that are read, as in the published code."""
MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""The mean and standard deviation of raw scores, with which the published score is standardised."""


def published_vision() -> BlipVisionConfig:
    """BLIP's large vision transformer at 224 pixels."""
    return BlipVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=224,
        patch_size=16,
        layer_norm_eps=1e-6,
        hidden_act="gelu",
    )


def published_text() -> BlipTextConfig:
    """BERT base with cross-attention. transformers makes layers of cross-attention only in what it
    calls a decoder.
    """
    return BlipTextConfig(
        vocab_size=30524,
        hidden_size=768,
        encoder_hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=512,
        layer_norm_eps=1e-12,
        hidden_act="gelu",
        is_decoder=True,
    )


class BlipNetwork(nn.Module):
    """ImageReward's two networks and its head, with meaningless weights."""

    def __init__(self, vision: BlipVisionConfig, text: BlipTextConfig) -> None:
        super().__init__()
        self.vision = BlipVisionModel(vision)
        self.text = BlipTextModel(text, add_pooling_layer=False)
        self.head = linear_head(text.hidden_size)

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Raw scores `[B]` in float32 of pixels `[B, 3, h, w]` and tokens `[B, L]`; `mask` is 1 for
        tokens that count, 0 for padding.
        """
        seen = self.vision(pixels).last_hidden_state
        # The term that is added to the attention. transformers takes a mask of this shape as it is;
        # for any other shape it reads the values, which waits for the device.
        hidden = (1 - mask[:, None, None, :]).to(seen.dtype) * torch.finfo(seen.dtype).min
        read = self.text(
            input_ids=ids, attention_mask=hidden, encoder_hidden_states=seen, is_decoder=False
        )
        raw: Tensor = self.head(read.last_hidden_state[:, 0].float())[:, 0]
        return raw


class ImageReward(NetworkReward):
    """The reward of the published checkpoint and a folder with BERT's uncased tokenizer."""

    def __init__(
        self,
        path: Path,
        tokenizer: Path,
        *,
        name: str,
        vision: BlipVisionConfig,
        text: BlipTextConfig,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        source: str = "",
    ) -> None:
        # Without memory for weights, which `fill` takes from the checkpoint.
        with init_empty_weights(include_buffers=False):
            self.network = BlipNetwork(vision, text)
        fill(self.network, renamed(_weights(path)), path)
        self.network.to(device, dtype).requires_grad_(False).eval()
        self.network.head.float()
        self.tokenizer = _tokenizer(tokenizer, text.vocab_size)
        self._device, self._dtype = device, dtype
        self._text = TextCache(self._tokens)
        prints = [
            fingerprint_of(path.parent, [path.name]),
            fingerprint_of(tokenizer, IMAGEREWARD[1].files),
        ]
        super().__init__(
            name=name,
            fingerprint=digest(["standardised", *prints]),
            source=source,
            pixels=Pixels(vision.image_size, OPENAI_MEAN, OPENAI_STD, device),
            published=lambda picture: centre_cropped(picture, vision.image_size),
        )

    def _tokens(self, prompts: list[str]) -> Tensor:
        """Token numbers and mask, `[B, 2, TOKENS]`. Nothing more can be cached, because the text's
        features depend on the image.
        """
        found = self.tokenizer(
            prompts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        )
        return torch.stack([found.input_ids, found.attention_mask], dim=1).to(self._device)

    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        ids, mask = self._text(prompts).unbind(1)
        raw: Tensor = self.network(pixels.to(self._dtype), ids, mask)
        return (raw - MEAN) / STD


_VISION = (
    (r"^blocks\.", "encoder.layers."),
    (r"\.attn\.proj\.", ".self_attn.projection."),
    (r"\.attn\.", ".self_attn."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^norm\.", "post_layernorm."),
)
"""The vision transformer's names: published -> transformers'."""

_UNUSED = re.compile(r"^blip\.(vision_proj|text_proj)\.|\.position_ids$")
"""Weights of BLIP that ImageReward does not use, and the positions, which are just a range."""


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published checkpoint's weights under the names of `BlipNetwork`. Unknown names stay as
    they are.
    """
    return {_new_name(name): value for name, value in weights.items() if not _UNUSED.search(name)}


def _new_name(name: str) -> str:
    if name.startswith("blip.visual_encoder."):
        own = name.removeprefix("blip.visual_encoder.")
        for pattern, replacement in _VISION:
            own = re.sub(pattern, replacement, own)
        return f"vision.{own}"
    if name.startswith("blip.text_encoder."):
        return f"text.{name.removeprefix('blip.text_encoder.')}"
    return f"head.{name.removeprefix('mlp.layers.')}" if name.startswith("mlp.layers.") else name


def _weights(path: Path) -> dict[str, Tensor]:
    found = read_weights(path)
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no weights by name; it must be a checkpoint of ImageReward")
    return found


def _tokenizer(folder: Path, vocabulary: int) -> BertTokenizer:
    """BERT's tokenizer with BLIP's two additional tokens. A vocabulary of another size than the
    model's is a `UsageError`.
    """
    existing(folder, "tokenizer.json", "vocab.txt")
    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_tokens(["[ENC]"], special_tokens=True)
    if len(tokenizer) != vocabulary:
        raise UsageError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens and ImageReward {vocabulary};"
            " it must be that of bert-base-uncased"
        )
    return tokenizer


def load(*, device: str, dtype: str, where: str = "") -> ImageReward:
    """ImageReward v1.0."""
    return make_published(
        ImageReward,
        "imagereward",
        IMAGEREWARD,
        where=where,
        device=device,
        dtype=dtype,
        vision=published_vision(),
        text=published_text(),
    )
