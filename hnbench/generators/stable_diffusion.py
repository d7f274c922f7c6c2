"""Generators of the Stable Diffusion family with one text encoder: SD-Turbo, and that of the
embedded world. No classifier-free guidance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hnbench.generators.base import Conditioning
from hnbench.generators.pipeline import PipelineGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class StableDiffusionGenerator(PipelineGenerator):
    """A frozen StableDiffusionPipeline."""

    pipeline_class = "StableDiffusionPipeline"
    backbone_part = "unet"
    last_layer = "conv_out"
    loading: ClassVar[Mapping[str, Any]] = {"requires_safety_checker": False}

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        hidden, _ = self.pipeline.encode_prompt(
            prompts, self._device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return {"hidden_states": hidden.to(self._dtype)}

    def _denoise(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        found: Tensor = self.backbone(
            latents.to(self._dtype),
            self._on_device(timestep),
            return_dict=False,
            **self._conditions(conditioning),
        )[0]
        return found

    def _conditions(self, conditioning: Conditioning) -> dict[str, Any]:
        """The backbone's arguments other than latents and timestep."""
        return {"encoder_hidden_states": conditioning.tensors["hidden_states"]}

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        return self._decode(self._unscaled(self._sampled(noise, conditioning, steps)))

    def _unscaled(self, latents: Tensor) -> Tensor:
        """Latents as the decoder takes them."""
        unscaled: Tensor = latents / self.decoder.config.scaling_factor
        return unscaled
