"""Tiny models that were distilled from a tiny SDXL base, in the files and formats in which the
published ones come, and diffusers' own pipelines of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor

from hnbench.weights.quiet import quiet_loading
from tests import tiny

ALPHA, RANK = 3.0, 2
TARGETS = ["to_q", "to_v", "conv1", "proj_in", "ff.net.2"]
BASE_SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
"""The settings of SDXL base's scheduler, with those that only other schedulers read."""


def save_base(folder: Path) -> Path:
    """A base as stable-diffusion-xl-base-1.0 is laid out."""
    pipeline = tiny.stable_diffusion_xl()
    pipeline.scheduler = EulerDiscreteScheduler.from_config(BASE_SCHEDULER)
    pipeline.save_pretrained(folder)
    return folder


def save_unet(path: Path, seed: int = 3) -> Path:
    """A UNet of the same architecture, as one file, in float16 as most are published."""
    with tiny.seeded(seed):
        state = tiny.stable_diffusion_xl_unet().half().state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def lora_of(seed: int = 4) -> dict[str, Tensor]:
    """The tensors of a LoRA on a tiny base, by peft's names."""
    with tiny.seeded(seed):
        unet = tiny.stable_diffusion_xl_unet()
        unet.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS))
        state = get_peft_model_state_dict(unet)
        return {name: 0.3 * torch.randn_like(value) for name, value in sorted(state.items())}


def in_kohya(lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in the names of kohya's trainer, with its alphas."""
    found: dict[str, Tensor] = {}
    for name, value in lora.items():
        module, _, kind = name.removesuffix(".weight").rpartition(".")
        key = f"lora_unet_{module.replace('.', '_')}"
        found[f"{key}.{'lora_down' if kind == 'lora_A' else 'lora_up'}.weight"] = value.clone()
        found[f"{key}.alpha"] = torch.tensor(ALPHA)
    return found


def in_diffusers(lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in diffusers' own names, which know no alpha: it is the rank."""
    return {f"unet.{name}": value for name, value in lora.items()}


def save_lora(path: Path, *, kohya: bool = True) -> Path:
    """A LoRA as one file, in either format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = in_kohya(lora_of()) if kohya else in_diffusers(lora_of())
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def stock(
    base: Path,
    scheduler: type[Any],
    *,
    unet: Path | None = None,
    lora: Path | None = None,
    dtype: torch.dtype = torch.float64,
    **settings: Any,
) -> Any:
    """The pipeline as the models' cards put it together."""
    with quiet_loading():
        parts: dict[str, Any] = {}
        if unet is not None:
            network = UNet2DConditionModel.from_config(
                UNet2DConditionModel.load_config(base, subfolder="unet")
            ).to(dtype)
            network.load_state_dict(
                load_file(unet)
                if unet.suffix == ".safetensors"
                else torch.load(unet, weights_only=True)
            )
            parts["unet"] = network
        pipeline: Any = StableDiffusionXLPipeline.from_pretrained(
            base, dtype=dtype, add_watermarker=False, **parts
        )
        if lora is not None:
            pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
            pipeline.fuse_lora()
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **settings)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
