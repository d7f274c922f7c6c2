"""Tiny pipelines of the real classes with random weights, built, saved and loaded offline: one for
each family of generators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDPMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    LCMScheduler,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SanaSprintPipeline,
    SanaTransformer2DModel,
    SCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPTS = ["a photo of a red circle", "Two stars above a heart", "a ring"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Within the block torch's random numbers follow from the seed; outside they go on as if
    nothing had been.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def tokenizer(template: str, special: list[str], max_length: int = 77) -> PreTrainedTokenizerFast:
    """One token per letter; `template` puts start and end tokens around the text `$A`. The last
    special token has the largest id.
    """
    vocabulary = {
        token: index for index, token in enumerate([*special[:-1], *LETTERS, special[-1]])
    }
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    used = [(token, vocabulary[token]) for token in template.split() if token in vocabulary]
    made.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
    last = template.rsplit(maxsplit=1)[-1]
    end = last if last in vocabulary else special[-1]
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=max_length,
        eos_token=end,
        bos_token="<start>",
        unk_token="<unk>",
        pad_token="<pad>",
    )


def clip_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer("<start> $A <end>", ["<pad>", "<start>", "<unk>", "<end>"], max_length=40)


def t5_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer("$A <end>", ["<pad>", "<start>", "<unk>", "<end>"], max_length=512)


def gemma_tokenizer() -> PreTrainedTokenizerFast:
    return tokenizer("<start> $A", ["<pad>", "<start>", "<unk>", "<end>"], max_length=2048)


def qwen_tokenizer() -> PreTrainedTokenizerFast:
    """With a chat template of a letter before each text and one behind it."""
    made = tokenizer("$A", ["<pad>", "<start>", "<unk>", "<end>"], max_length=512)
    made.chat_template = "q{{ messages[0].content }}z"
    return made


def clip_text(kind: type[Any] = CLIPTextModel) -> Any:
    names = clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(names),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        projection_dim=16,
        bos_token_id=names.bos_token_id,
        eos_token_id=names.eos_token_id,
        pad_token_id=names.pad_token_id,
    )
    return kind(config)


def t5_text(width: int = 16) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(
            vocab_size=len(t5_tokenizer()),
            d_model=width,
            d_kv=8,
            d_ff=32,
            num_layers=1,
            num_heads=2,
            feed_forward_proj="gated-gelu",
            pad_token_id=0,
        )
    )


def qwen_text(kind: type[Any] = Qwen3Model, layers: int = 3) -> Any:
    return kind(
        Qwen3Config(
            vocab_size=len(qwen_tokenizer()),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=0,
        )
    )


def unet(**changes: Any) -> UNet2DConditionModel:
    settings: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 1,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**(settings | changes))


def autoencoder(**changes: Any) -> AutoencoderKL:
    settings: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 16),
        "latent_channels": 4,
        "norm_num_groups": 4,
        "sample_size": 16,
        "scaling_factor": 0.18215,
    }
    return AutoencoderKL(**(settings | changes))


_BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
}


def stable_diffusion(scheduler: Any = None) -> StableDiffusionPipeline:
    """Like SD-Turbo: 16x16 images from 4x8x8 noise."""
    with seeded():
        return StableDiffusionPipeline(
            vae=autoencoder(),
            text_encoder=clip_text(),
            tokenizer=clip_tokenizer(),
            unet=unet(),
            scheduler=scheduler or EulerDiscreteScheduler(**_BETAS, steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def stable_diffusion_xl_unet(**changes: Any) -> UNet2DConditionModel:
    settings: dict[str, Any] = {
        "cross_attention_dim": 32,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
    }
    return unet(**(settings | changes))


def stable_diffusion_xl() -> StableDiffusionXLPipeline:
    """Like SDXL-Turbo: 16x16 images from 4x8x8 noise."""
    with seeded():
        return StableDiffusionXLPipeline(
            vae=autoencoder(force_upcast=True),
            text_encoder=clip_text(),
            text_encoder_2=clip_text(CLIPTextModelWithProjection),
            tokenizer=clip_tokenizer(),
            tokenizer_2=clip_tokenizer(),
            unet=stable_diffusion_xl_unet(),
            scheduler=EulerAncestralDiscreteScheduler(**_BETAS, steps_offset=1),
            add_watermarker=False,
        )


def sana_sprint() -> SanaSprintPipeline:
    """Like SANA-Sprint: 32x32 images from 4x16x16 noise."""
    names = gemma_tokenizer()
    with seeded():
        text = Gemma2Model(
            Gemma2Config(
                vocab_size=len(names),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,
                max_position_embeddings=2048,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=names.eos_token_id,
            )
        )
        transformer = SanaTransformer2DModel(
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            num_attention_heads=2,
            attention_head_dim=8,
            num_cross_attention_heads=2,
            cross_attention_head_dim=8,
            cross_attention_dim=16,
            caption_channels=16,
            sample_size=16,
            qk_norm="rms_norm_across_heads",
            guidance_embeds=True,
        )
        decoder = AutoencoderDC(
            latent_channels=4,
            attention_head_dim=2,
            encoder_block_types=("ResBlock", "EfficientViTBlock"),
            decoder_block_types=("ResBlock", "EfficientViTBlock"),
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            encoder_qkv_multiscales=((), (5,)),
            decoder_qkv_multiscales=((), (5,)),
            encoder_layers_per_block=(1, 1),
            decoder_layers_per_block=(1, 1),
            downsample_block_type="conv",
            upsample_block_type="interpolate",
            decoder_norm_types="rms_norm",
            decoder_act_fns="silu",
            scaling_factor=0.41407,
        )
        return SanaSprintPipeline(
            tokenizer=names,
            text_encoder=text,
            vae=decoder,
            transformer=transformer,
            scheduler=SCMScheduler(prediction_type="trigflow", sigma_data=0.5),
        )


def pixart(scheduler: Any = None) -> PixArtAlphaPipeline:
    """Like PixArt-DMD: 16x16 images from 4x8x8 noise; the transformer also predicts a variance."""
    with seeded():
        transformer = PixArtTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            cross_attention_dim=16,
            sample_size=8,
            patch_size=2,
            caption_channels=16,
            norm_num_groups=4,
        )
        return PixArtAlphaPipeline(
            tokenizer=t5_tokenizer(),
            text_encoder=t5_text(),
            vae=autoencoder(),
            transformer=transformer,
            scheduler=scheduler or DDPMScheduler(beta_schedule="linear", clip_sample=False),
        )


def pixart_lcm() -> PixArtAlphaPipeline:
    """The same with a scheduler of its own."""
    return pixart(LCMScheduler(beta_schedule="linear", clip_sample=False))


def flux(**changes: Any) -> FluxPipeline:
    """Like FLUX.1-schnell: images of any multiple of 4 pixels."""
    with seeded():
        transformer = FluxTransformer2DModel(
            **{
                "patch_size": 1,
                "in_channels": 16,
                "num_layers": 1,
                "num_single_layers": 1,
                "attention_head_dim": 16,
                "num_attention_heads": 2,
                "joint_attention_dim": 16,
                "pooled_projection_dim": 16,
                "axes_dims_rope": (4, 4, 8),
                "guidance_embeds": False,
            }
            | changes
        )
        return FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=False),
            text_encoder=clip_text(),
            text_encoder_2=t5_text(),
            tokenizer=clip_tokenizer(),
            tokenizer_2=t5_tokenizer(),
            transformer=transformer,
            vae=autoencoder(
                use_quant_conv=False,
                use_post_quant_conv=False,
                shift_factor=0.1159,
                scaling_factor=0.3611,
            ),
        )


def z_image() -> ZImagePipeline:
    """Like Z-Image-Turbo: images of any multiple of 4 pixels."""
    with seeded():
        transformer = ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 32, 32],
        )
        for token in (transformer.x_pad_token, transformer.cap_pad_token):
            torch.nn.init.normal_(token)
        return ZImagePipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=False),
            text_encoder=qwen_text(),
            tokenizer=qwen_tokenizer(),
            transformer=transformer,
            vae=autoencoder(
                use_quant_conv=False,
                use_post_quant_conv=False,
                shift_factor=0.1159,
                scaling_factor=0.3611,
            ),
        )


def flux2_klein(*, distilled: bool = True) -> Flux2KleinPipeline:
    """Like FLUX.2-klein: images of any multiple of 4 pixels. The text is taken from three of the
    language model's layers, the last of which is the 27th.
    """
    with seeded():
        decoder = AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            latent_channels=4,
            norm_num_groups=4,
            sample_size=16,
        )
        torch.nn.init.normal_(decoder.bn.running_mean)
        torch.nn.init.uniform_(decoder.bn.running_var, 0.5, 4)
        transformer = Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * 16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        )
        return Flux2KleinPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
            vae=decoder,
            text_encoder=qwen_text(Qwen3ForCausalLM, layers=28),
            tokenizer=qwen_tokenizer(),
            transformer=transformer,
            is_distilled=distilled,
        )


def stable_diffusion_3() -> StableDiffusion3Pipeline:
    """Like Stable Diffusion 3.5 Large Turbo: 16x16 images from 4x8x8 noise."""
    with seeded():
        transformer = SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=40,
            caption_projection_dim=16,
            pooled_projection_dim=32,
            pos_embed_max_size=12,
            qk_norm="rms_norm",
        )
        return StableDiffusion3Pipeline(
            transformer=transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=autoencoder(
                use_quant_conv=False,
                use_post_quant_conv=False,
                shift_factor=0.0609,
                scaling_factor=1.5305,
            ),
            text_encoder=clip_text(CLIPTextModelWithProjection),
            tokenizer=clip_tokenizer(),
            text_encoder_2=clip_text(CLIPTextModelWithProjection),
            tokenizer_2=clip_tokenizer(),
            text_encoder_3=t5_text(40),
            tokenizer_3=t5_tokenizer(),
        )


@dataclass(frozen=True)
class Family:
    """A tiny pipeline and how it is used."""

    build: Callable[[], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What our adapter is loaded with."""

    def save(self, folder: Path) -> Path:
        """Save the pipeline as its users would."""
        self.build().save_pretrained(folder)
        return folder


FAMILIES = {
    "stable-diffusion": Family(stable_diffusion),
    "stable-diffusion-xl": Family(stable_diffusion_xl),
    "sana-sprint": Family(sana_sprint),
    "pixart": Family(pixart),
    "pixart-lcm": Family(pixart_lcm),
    "flux": Family(flux, {"image_size": 16}),
    "z-image": Family(z_image, {"image_size": 16}),
    "flux2-klein": Family(flux2_klein, {"image_size": 16}),
    "stable-diffusion-3": Family(stable_diffusion_3),
}
