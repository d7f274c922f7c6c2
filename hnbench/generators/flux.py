"""FLUX.1-schnell: a rectified flow over packed latents, a few Euler steps. No guidance.

The noise is packed as the transformer takes it, with 2x2 latents in each token:
[1024, 64] for images of 512 pixels. HyperNoise and ReNO use this size, and it is the default here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import FluxPipeline

from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning
from hnbench.generators.flow_matching import FlowMatchingGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

PACKED = 2
"""Width and height of a token, in latents."""
MAX_TOKENS = 512
"""T5's tokens, in HyperNoise and by the stock pipeline's default. ReNO has 256, which diffusers'
documentation names as schnell's limit. Padding is not masked, so the number changes every image.
"""
DEFAULT_SIZE = 512


class FluxGenerator(FlowMatchingGenerator):
    """A frozen FluxPipeline. A model that takes a guidance scale is a `UsageError`."""

    pipeline_class = "FluxPipeline"
    text_parts = ("text_encoder", "text_encoder_2")
    last_layer = "proj_out"
    first_time = 1.0
    beside_float16: ClassVar[Mapping[str, torch.dtype]] = {
        "text_encoder": torch.bfloat16,
        "text_encoder_2": torch.bfloat16,
        "vae": torch.float32,
    }

    def __init__(self, pipeline: Any, **options: Any) -> None:
        if pipeline.transformer.config.guidance_embeds:
            raise UsageError(
                f"{options.get('name')} takes a guidance scale, as FLUX.1-dev does; give a few-step"
                " model without one: FLUX.1-schnell"
            )
        super().__init__(pipeline, **options)

    def _set_text_length(self, tokens: int | None) -> None:
        if tokens is not None and not 1 <= tokens <= MAX_TOKENS:
            raise UsageError(
                f"`max_sequence_length` was {tokens}; {self.name} reads 1 to {MAX_TOKENS} tokens"
            )
        self._tokens = tokens or MAX_TOKENS

    def _options(self) -> dict[str, Any]:
        return {
            **super()._options(),
            **({} if self._tokens == MAX_TOKENS else {"max_sequence_length": self._tokens}),
        }

    @property
    def stock_arguments(self) -> dict[str, Any]:
        return {**super().stock_arguments, "max_sequence_length": self._tokens}

    def _default_size(self) -> int:
        return DEFAULT_SIZE

    def _patch(self) -> int:
        return PACKED

    def _shape_of_noise(self, side: int) -> tuple[int, ...]:
        return ((side // PACKED) ** 2, int(self.architecture.in_channels))

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        hidden, pooled, _ = self.pipeline.encode_prompt(
            prompts, device=self._device, max_sequence_length=self._tokens
        )
        return {"hidden_states": hidden.to(self._dtype), "pooled": pooled.to(self._dtype)}

    def _denoise(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass; `time` is in the network's own units, 0 to 1."""
        hidden = conditioning.tensors["hidden_states"]
        found: Tensor = self.backbone(
            hidden_states=latents.to(self._dtype),
            timestep=self._on_device(time).to(self._dtype).expand(len(latents)),
            guidance=None,  # schnell is distilled without a guidance scale
            pooled_projections=conditioning.tensors["pooled"],
            encoder_hidden_states=hidden,
            txt_ids=torch.zeros(hidden.shape[1], 3, device=self._device, dtype=self._dtype),
            img_ids=self._image_ids,
            return_dict=False,
        )[0]
        return found

    @cached_property
    def _image_ids(self) -> Tensor:
        """The positions of the latents. They are made on the CPU and copied, so only once."""
        side = self.image_size // self.pipeline.vae_scale_factor // PACKED
        found: Tensor = FluxPipeline._prepare_latent_image_ids(  # noqa: SLF001
            1, side, side, self._device, self._dtype
        )
        return found

    def _velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        return self._denoise(latents, timestep / 1000, conditioning)

    def to_grid(self, noise: Tensor) -> Tensor:
        """The latents without packing, `[B, 16, H / 8, W / 8]` for images of H by W pixels."""
        grid: Tensor = FluxPipeline._unpack_latents(  # noqa: SLF001
            noise, self.image_size, self.image_size, self.pipeline.vae_scale_factor
        )
        return grid

    def from_grid(self, grid: Tensor) -> Tensor:
        packed: Tensor = FluxPipeline._pack_latents(grid, *grid.shape)  # noqa: SLF001
        return packed
