"""The networks of the published generators, at their published sizes or in miniature, with random
weights and random text. Nothing is downloaded.

The sizes are those of the published configurations; `tests/catalogue/test_operations.py` compares
the numbers of parameters with the sizes of the published files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
    SanaTransformer2DModel,
    SCMScheduler,
    SD3Transformer2DModel,
    UNet2DConditionModel,
    ZImageTransformer2DModel,
)
from torch import Tensor

from hnbench.generators.flux import FluxGenerator
from hnbench.generators.flux2_klein import Flux2KleinGenerator
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.pixart import PixArtGenerator
from hnbench.generators.sana_sprint import SanaSprintGenerator
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.generators.stable_diffusion_3 import StableDiffusion3Generator
from hnbench.generators.stable_diffusion_xl import StableDiffusionXLGenerator
from hnbench.generators.z_image import ZImageGenerator

Made = tuple[type[PipelineGenerator], dict[str, Any], dict[str, tuple[int, ...]]]
"""The family, the parts of the pipeline, and the shapes of an encoded text, by name."""


def sd_turbo(*, full: bool) -> Made:
    """The architecture of SD-Turbo, 512x512."""
    wide = {
        "block_out_channels": (320, 640, 1280, 1280),
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
    }
    narrow = {
        "block_out_channels": (32, 32, 32, 32),
        "attention_head_dim": 8,
        "cross_attention_dim": 32,
        "norm_num_groups": 8,
    }
    unet = UNet2DConditionModel(
        sample_size=64 if full else 8, use_linear_projection=True, **(wide if full else narrow)
    )
    parts = {
        "unet": unet,
        "vae": autoencoder(4, full=full),
        "scheduler": _diffusion(),
        "vae_scale_factor": 8,
    }
    return StableDiffusionGenerator, parts, {"hidden_states": (77, 1024 if full else 32)}


def sdxl(side: int, *, full: bool) -> Made:
    """The architecture of SDXL, for latents of this width and height (miniature: 8)."""
    wide = {
        "block_out_channels": (320, 640, 1280),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    narrow = {
        "block_out_channels": (32, 32, 32),
        "attention_head_dim": 8,
        "cross_attention_dim": 32,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
        "norm_num_groups": 8,
    }
    unet = UNet2DConditionModel(
        sample_size=side if full else 8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        **(wide if full else narrow),
    )
    parts = {
        "unet": unet,
        "vae": autoencoder(4, full=full),
        "scheduler": _diffusion(),
        "vae_scale_factor": 8,
    }
    text = {"hidden_states": (77, 2048 if full else 32), "pooled": (1280 if full else 16,)}
    return StableDiffusionXLGenerator, parts, text


def pixart_dmd(*, full: bool) -> Made:
    """The architecture of PixArt-alpha DMD, 512x512: PixArt-XL/2."""
    wide = {"num_attention_heads": 16, "attention_head_dim": 72, "num_layers": 28}
    narrow = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2}
    transformer = PixArtTransformer2DModel(
        sample_size=64 if full else 8,
        cross_attention_dim=1152 if full else 32,
        caption_channels=4096 if full else 32,
        **(wide if full else narrow),
    )
    parts = {
        "transformer": transformer,
        "vae": autoencoder(4, full=full),
        # The published scheduler draws noise; this one has the same passes and draws none.
        "scheduler": _on_cpu(DDIMScheduler),
        "vae_scale_factor": 8,
    }
    text = {"hidden_states": (120, 4096 if full else 32), "attention_mask": (120,)}
    return PixArtGenerator, parts, text


SANA_SPRINT = {
    "sana-sprint-0.6b": {
        "num_layers": 28,
        "num_attention_heads": 36,
        "num_cross_attention_heads": 16,
        "cross_attention_head_dim": 72,
        "cross_attention_dim": 1152,
    },
    "sana-sprint-1.6b": {
        "num_layers": 20,
        "num_attention_heads": 70,
        "num_cross_attention_heads": 20,
        "cross_attention_head_dim": 112,
        "cross_attention_dim": 2240,
    },
}
"""The sizes in which the two models of SANA-Sprint differ."""


def sana_sprint(name: str, *, full: bool) -> Made:
    """The architecture of a SANA-Sprint, 1024x1024."""
    few = {
        "num_layers": 2,
        "num_attention_heads": 2,
        "num_cross_attention_heads": 2,
        "cross_attention_head_dim": 32,
        "cross_attention_dim": 64,
    }
    transformer = SanaTransformer2DModel(
        in_channels=32,
        out_channels=32,
        attention_head_dim=32,
        caption_channels=2304 if full else 32,
        sample_size=32 if full else 2,
        patch_size=1,
        qk_norm="rms_norm_across_heads",
        guidance_embeds=True,
        **(SANA_SPRINT[name] if full else few),
    )
    kinds = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    scales = ((), (), (), (5,), (5,), (5,))
    widths = (128, 256, 512, 512, 1024, 1024) if full else (32,) * 6
    vae = AutoencoderDC(
        encoder_block_types=kinds,
        decoder_block_types=kinds,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        encoder_qkv_multiscales=scales,
        decoder_qkv_multiscales=scales,
        encoder_layers_per_block=(2, 2, 2, 3, 3, 3),
        decoder_layers_per_block=(3, 3, 3, 3, 3, 3),
        upsample_block_type="interpolate",
        downsample_block_type="conv",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    parts = {
        "transformer": transformer,
        "vae": vae,
        "scheduler": _on_cpu(SCMScheduler),
        "vae_scale_factor": 32,
    }
    return (
        SanaSprintGenerator,
        parts,
        {"hidden_states": (300, 2304 if full else 32), "attention_mask": (300,)},
    )


def flux_schnell(*, full: bool) -> Made:
    """The architecture of FLUX.1-schnell, 512x512 (miniature: 64x64)."""
    small = {
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "axes_dims_rope": (4, 4, 8),
    }
    narrow = {"joint_attention_dim": 32, "pooled_projection_dim": 32}
    transformer = FluxTransformer2DModel(**({} if full else {**small, **narrow}))
    parts = {
        "transformer": transformer,
        "vae": autoencoder(16, full=full),
        "scheduler": _on_cpu(FlowMatchEulerDiscreteScheduler),
        "vae_scale_factor": 8,
    }
    return (
        FluxGenerator,
        parts,
        {"hidden_states": (512, 4096 if full else 32), "pooled": (768 if full else 32,)},
    )


def z_image_turbo(*, full: bool) -> Made:
    """The architecture of Z-Image-Turbo, 1024x1024 (miniature: 64x64), with a text of 32 tokens:
    the network fills shorter ones up to that.
    """
    small = {
        "dim": 32,
        "n_layers": 1,
        "n_refiner_layers": 1,
        "n_heads": 2,
        "n_kv_heads": 2,
        "cap_feat_dim": 32,
        "axes_dims": (4, 6, 6),
    }
    transformer = ZImageTransformer2DModel(**({} if full else small))
    parts = {
        "transformer": transformer,
        "vae": autoencoder(16, full=full),
        "scheduler": _on_cpu(FlowMatchEulerDiscreteScheduler, shift=3.0),
        "vae_scale_factor": 8,
    }
    text = {"hidden_states": (32, 2560 if full else 32), "attention_mask": (32,)}
    return ZImageGenerator, parts, text


def flux2_klein(*, full: bool) -> Made:
    """The architecture of FLUX.2-klein-4B, 1024x1024 (miniature: 64x64)."""
    wide = {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24}
    small = {
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "axes_dims_rope": (4, 4, 4, 4),
    }
    transformer = Flux2Transformer2DModel(
        joint_attention_dim=3 * 2560 if full else 32,
        guidance_embeds=False,
        **(wide if full else small),
    )
    tiny = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4}
    parts = {
        "transformer": transformer,
        "vae": AutoencoderKLFlux2(**({} if full else tiny)),
        "scheduler": _on_cpu(FlowMatchEulerDiscreteScheduler, use_dynamic_shifting=True),
        "vae_scale_factor": 8,
        "config": SimpleNamespace(is_distilled=True),
    }
    return Flux2KleinGenerator, parts, {"hidden_states": (512, 3 * 2560 if full else 32)}


def sd3_5_large_turbo(*, full: bool) -> Made:
    """The architecture of Stable Diffusion 3.5 Large Turbo, 1024x1024."""
    wide = {"num_layers": 38, "num_attention_heads": 38, "attention_head_dim": 64}
    narrow = {"num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 16}
    sizes = wide if full else narrow
    transformer = SD3Transformer2DModel(
        sample_size=128 if full else 8,
        joint_attention_dim=4096 if full else 32,
        caption_projection_dim=sizes["num_attention_heads"] * sizes["attention_head_dim"],
        pooled_projection_dim=2048 if full else 32,
        pos_embed_max_size=192 if full else 8,
        qk_norm="rms_norm",
        **sizes,
    )
    parts = {
        "transformer": transformer,
        "vae": autoencoder(16, full=full),
        "scheduler": _on_cpu(FlowMatchEulerDiscreteScheduler, shift=3.0),
        "vae_scale_factor": 8,
    }
    text = {"hidden_states": (77 + 256, 4096 if full else 32), "pooled": (2048 if full else 32,)}
    return StableDiffusion3Generator, parts, text


def autoencoder(channels: int, *, full: bool) -> AutoencoderKL:
    """The autoencoder of Stable Diffusion (4 channels), and those of FLUX.1, Z-Image and Stable
    Diffusion 3 (16, without the convolutions of one pixel around the latents).
    """
    stable_diffusion = channels == 4
    return AutoencoderKL(
        latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512) if full else (8, 8, 8, 8),
        layers_per_block=2,
        norm_num_groups=32 if full else 4,
        shift_factor=0.0,
        use_quant_conv=stable_diffusion,
        use_post_quant_conv=stable_diffusion,
    )


def _diffusion() -> EulerDiscreteScheduler:
    return _on_cpu(
        EulerDiscreteScheduler,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="trailing",
    )


def _on_cpu(kind: Callable[..., Any], **settings: Any) -> Any:
    """A scheduler, whose tables are on the CPU wherever the networks are."""
    with torch.device("cpu"):
        return kind(**settings)


DISTILLED_SDXL = (
    "sdxl-dmd2",
    "sdxl-dmd2-4step",
    "sdxl-lightning",
    "sdxl-hyper",
    "sdxl-hyper-lora",
    "sdxl-lcm",
    "sdxl-tcd",
)
"""What was distilled from SDXL base, 1024x1024; a LoRA is added to the weights."""

MODELS: dict[str, Callable[..., Made]] = {
    "sd-turbo": sd_turbo,
    "sdxl-turbo": partial(sdxl, 64),
    **dict.fromkeys(DISTILLED_SDXL, partial(sdxl, 128)),
    "pixart-dmd": pixart_dmd,
    **{name: partial(sana_sprint, name) for name in SANA_SPRINT},
    "flux-schnell": flux_schnell,
    "z-image-turbo": z_image_turbo,
    "flux2-klein": flux2_klein,
    "sd3.5-large-turbo": sd3_5_large_turbo,
}
"""Generator's name -> its networks, as `MODELS[name](full=True)`."""
OF_ANY_SIZE = ("flux-schnell", "z-image-turbo", "flux2-klein")
"""The generators whose image size does not follow from the size of their networks."""


def build(
    name: str, device: str, dtype: torch.dtype, memory: tuple[str, ...], *, full: bool
) -> PipelineGenerator:
    """A generator with random weights and random text, at published size or in miniature."""
    default = torch.get_default_dtype()
    # Made in the final dtype at once: 12 billion parameters in float32 do not fit most devices.
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            family, parts, text = MODELS[name](full=full)
    finally:
        torch.set_default_dtype(default)

    class WithRandomText(family):  # type: ignore[misc, valid-type]
        text_parts = ()

        def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
            given = {
                key: torch.randn(len(prompts), *shape).to(self._dtype)
                for key, shape in text.items()
            }
            return {
                key: torch.ones_like(value) if key == "attention_mask" else value
                for key, value in given.items()
            }

    size = 64 if name in OF_ANY_SIZE and not full else None
    made: PipelineGenerator = WithRandomText(
        SimpleNamespace(**parts),
        name=name,
        fingerprint=name,
        device=device,
        image_size=size,
        memory=memory,
    )
    return made
