"""Generators of the Stable Diffusion family with one text encoder: SD-Turbo and the embedded world's.

Everything is read from a folder in the layout of diffusers' StableDiffusionPipeline, and what happens between noise and
image follows that pipeline step by step, without classifier-free guidance, with the gradient kept.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionPipeline

from hnbench.errors import UsageError
from hnbench.fingerprint import fingerprint_of
from hnbench.generators.base import Conditioning, Generator
from hnbench.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


class StableDiffusionGenerator(Generator):
    """A frozen StableDiffusionPipeline in which the noise is an argument.

    The noise, and the latents between steps, stay in the noise's own type (float32); only what enters a network is cast to
    `dtype`.
    """

    last_layer = "conv_out"

    def __init__(self, pipeline: Any, *, name: str, fingerprint: str, device: str = "cpu") -> None:
        self.name, self._fingerprint = name, fingerprint
        self._device: torch.device = torch.device(device)
        self._dtype: torch.dtype = pipeline.unet.dtype
        self.tokenizer, self.scheduler = pipeline.tokenizer, pipeline.scheduler
        self.text_encoder, self.decoder, self.backbone = (
            part.to(self._device).requires_grad_(False).eval() for part in (pipeline.text_encoder, pipeline.vae, pipeline.unet)
        )
        latents = pipeline.unet.config
        self.noise_shape = (latents.in_channels, latents.sample_size, latents.sample_size)
        self._encoded: dict[str, Tensor] = {}

    @classmethod
    def from_folder(cls, folder: Path, *, name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> StableDiffusionGenerator:
        """Load a local folder; nothing is fetched, nothing is unpickled. A folder without a pipeline is a UsageError."""
        if not (folder / "model_index.json").is_file():
            raise UsageError(
                f"{folder} holds no diffusers pipeline (there is no model_index.json in it); give the folder that save_pretrained wrote"
            )
        with quiet_loading():
            pipeline = StableDiffusionPipeline.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, safety_checker=None, requires_safety_checker=False
            )
        return cls(pipeline, name=name, fingerprint=fingerprint_of(folder), device=device)

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._encoded]
        if new:
            self._encoded.update(zip(new, self._hidden_states(new), strict=True))
        return Conditioning({"hidden_states": torch.stack([self._encoded[prompt] for prompt in prompts])})

    @torch.no_grad()
    def _hidden_states(self, prompts: list[str]) -> Tensor:
        tokens = self.tokenizer(
            prompts, padding="max_length", max_length=self.tokenizer.model_max_length, truncation=True, return_tensors="pt"
        )
        masked = getattr(self.text_encoder.config, "use_attention_mask", False)
        mask = tokens.attention_mask.to(self._device) if masked else None
        found: Tensor = self.text_encoder(tokens.input_ids.to(self._device), attention_mask=mask)[0]
        return found.to(self._dtype)

    def _denoise(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        hidden = conditioning.tensors["hidden_states"]
        found: Tensor = self.backbone(latents.to(self._dtype), timestep, encoder_hidden_states=hidden, return_dict=False)[0]
        return found

    def _started(self, steps: int) -> Any:
        """A scheduler of its own for each call: schedulers keep count of the steps taken."""
        scheduler = copy.copy(self.scheduler)
        scheduler.set_timesteps(steps, device=self._device)
        return scheduler

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        return self._denoise(noise, self._started(1).timesteps[0], conditioning)

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        scheduler = self._started(steps)
        latents = noise.to(self._device) * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            prediction = self._denoise(scheduler.scale_model_input(latents, timestep), timestep, conditioning)
            latents = scheduler.step(prediction.to(latents.dtype), timestep, latents, return_dict=False)[0]
        scaled = (latents / self.decoder.config.scaling_factor).to(self._dtype)
        decoded: Tensor = self.decoder.decode(scaled, return_dict=False)[0].to(latents.dtype)
        return (decoded / 2 + 0.5).clamp(0, 1)
