"""The networks of the teacher and of the one-step generator: a text encoder and a UNet in latent
space, saved as a diffusers pipeline.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from hnbench.shapes_training import tokenizer as vocabulary
from hnbench.shapes_training.autoencoder import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHAPE = (CHANNELS, 8, 8)
"""The shape of one latent, and of one noise."""


def build_unet(text_width: int) -> UNet2DConditionModel:
    """A UNet of two levels with 64 and 128 channels, both with attention to the text."""
    return UNet2DConditionModel(
        sample_size=SHAPE[1],
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=(64, 128),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=16,
        use_linear_projection=True,
    )


def build_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    """A text encoder of three layers of width 64."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=vocabulary.MAX_TOKENS,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class Denoiser(nn.Module):
    """Text encoder and UNet: from x_t, t and ids of tokens to the prediction of x."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer: PreTrainedTokenizerFast = vocabulary.build()
        self.text = build_text_encoder(self.tokenizer)
        self.unet = build_unet(self.text.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Ids of tokens `[B, 16]`; the empty text is the unconditional one."""
        found: Tensor = self.tokenizer(
            list(texts), padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return found.to(self.device)

    def forward(self, latents: Tensor, times: Tensor, ids: Tensor) -> Tensor:
        """The prediction of x, `[B, 16, 8, 8]`, from `latents` of the same shape; `times` `[B]` are
        in 0..1, `ids` are `[B, 16]`.
        """
        # diffusers counts timesteps from 0 to 999.
        found: Tensor = self.unet(latents, times * 999, self.text(ids).last_hidden_state).sample
        return found


def scheduler() -> DDIMScheduler:
    """A scheduler whose only step, at t = 999, returns the network's prediction of x unchanged."""
    return DDIMScheduler(
        prediction_type="sample",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def save_pipeline(model: Denoiser, autoencoder: AutoencoderTiny, folder: Path) -> None:
    """Save in the layout of diffusers' StableDiffusionPipeline, float16 safetensors."""
    StableDiffusionPipeline(
        vae=autoencoder.half(),
        text_encoder=model.text.half(),
        tokenizer=model.tokenizer,
        unet=model.unet.half(),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)
    # diffusers notes the folder that a part was loaded from, which is private.
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text("utf-8"))
        if content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
