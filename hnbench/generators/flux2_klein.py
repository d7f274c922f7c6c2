"""FLUX.2-klein, distilled: a rectified flow over packed latents, 4 Euler steps. No guidance.

The noise is as diffusers' Flux2KleinPipeline takes it, with the 2x2 latents of a token as channels:
[128, 64, 64] for images of 1024 pixels. Black Forest Labs, "FLUX.2 [klein]", 2026.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import Flux2KleinPipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from hnbench.errors import UsageError
from hnbench.generators.flow_matching import FlowMatchingGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from hnbench.generators.base import Conditioning

PACKED = 2
"""Width and height of a token, in latents."""
MAX_TOKENS = 512
"""The length of every text, with the chat template around it; the pipeline's default. Padding is
not masked.
"""
DEFAULT_SIZE = 1024


class Flux2KleinGenerator(FlowMatchingGenerator):
    """A frozen Flux2KleinPipeline. A model that is not distilled is a `UsageError`."""

    pipeline_class = "Flux2KleinPipeline"
    last_layer = "proj_out"
    first_time = 1.0
    beside_float16: ClassVar[Mapping[str, torch.dtype]] = {
        "text_encoder": torch.bfloat16,
        "vae": torch.float32,
    }

    def __init__(self, pipeline: Any, **options: Any) -> None:
        if not pipeline.config.is_distilled:
            raise UsageError(
                f"{options.get('name')} is not distilled (`is_distilled` is not true in its"
                " model_index.json) and needs guidance, as FLUX.2-klein-base does; give a few-step"
                " model: black-forest-labs/FLUX.2-klein-4B"
            )
        super().__init__(pipeline, **options)

    @property
    def stock_arguments(self) -> dict[str, Any]:
        return {**super().stock_arguments, "guidance_scale": 1.0}

    def _default_size(self) -> int:
        return DEFAULT_SIZE

    def _patch(self) -> int:
        return PACKED

    def _shape_of_noise(self, side: int) -> tuple[int, ...]:
        return (int(self.architecture.in_channels), side // PACKED, side // PACKED)

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        hidden, _ = self.pipeline.encode_prompt(
            prompts, device=self._device, max_sequence_length=MAX_TOKENS
        )
        return {"hidden_states": hidden.to(self._dtype)}

    def _shift(self, steps: int) -> float:
        return float(compute_empirical_mu(self._tokens_of_image, steps))

    def _denoise(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass; `time` is in the network's own units, 0 to 1."""
        hidden = conditioning.tensors["hidden_states"]
        found: Tensor = self.backbone(
            hidden_states=_packed(latents.to(self._dtype)),
            timestep=self._on_device(time).to(self._dtype).expand(len(latents)),
            guidance=None,  # distilled without a guidance scale
            encoder_hidden_states=hidden,
            txt_ids=self._text_ids[: hidden.shape[1]],
            img_ids=self._image_ids,
            return_dict=False,
        )[0]
        return found.mT.reshape(latents.shape)

    @cached_property
    def _image_ids(self) -> Tensor:
        """The positions of the tokens of an image. They are made on the CPU and copied, so only
        once.
        """
        noise = torch.empty(1, *self.noise_shape, device="meta")
        found: Tensor = Flux2KleinPipeline._prepare_latent_ids(noise)[0]  # noqa: SLF001
        return found.to(self._device)

    @cached_property
    def _text_ids(self) -> Tensor:
        text = torch.empty(1, MAX_TOKENS, 1, device="meta")
        found: Tensor = Flux2KleinPipeline._prepare_text_ids(text)[0]  # noqa: SLF001
        return found.to(self._device)

    def _velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        return self._denoise(latents, timestep / 1000, conditioning)

    def _unscaled(self, latents: Tensor) -> Tensor:
        # The flow is over latents that the autoencoder's batch norm has normalised.
        norm = self.decoder.bn
        mean, variance = (
            value.to(latents.dtype).view(1, -1, 1, 1)
            for value in (norm.running_mean, norm.running_var)
        )
        deviation = (variance + self.decoder.config.batch_norm_eps).sqrt()
        return self.to_grid(latents * deviation + mean)

    def to_grid(self, noise: Tensor) -> Tensor:
        """The latents one by one, `[B, 32, H / 8, W / 8]` for images of H by W pixels."""
        grid: Tensor = Flux2KleinPipeline._unpatchify_latents(noise)  # noqa: SLF001
        return grid

    def from_grid(self, grid: Tensor) -> Tensor:
        noise: Tensor = Flux2KleinPipeline._patchify_latents(grid)  # noqa: SLF001
        return noise


def _packed(latents: Tensor) -> Tensor:
    """`[B, tokens, channels]` from `[B, channels, rows, columns]`, row by row."""
    return latents.flatten(2).mT
