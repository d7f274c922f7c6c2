"""Generators of the Stable Diffusion XL family, with two text encoders: SDXL-Turbo, and what others
distilled from the base model. No classifier-free guidance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hnbench.generators.base import Conditioning
from hnbench.generators.stable_diffusion import StableDiffusionGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class StableDiffusionXLGenerator(StableDiffusionGenerator):
    """A frozen StableDiffusionXLPipeline. The size conditions say that nothing was scaled or
    cropped, and no watermark is drawn.
    """

    pipeline_class = "StableDiffusionXLPipeline"
    text_parts = ("text_encoder", "text_encoder_2")
    upcast_decoder = True
    loading: ClassVar[Mapping[str, Any]] = {"add_watermarker": False}

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        hidden, _, pooled, _ = self.pipeline.encode_prompt(
            prompts, device=self._device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return {"hidden_states": hidden.to(self._dtype), "pooled": pooled.to(self._dtype)}

    def _conditions(self, conditioning: Conditioning) -> dict[str, Any]:
        size = (self.image_size, self.image_size)
        # original size, upper left corner of the crop, target size
        ids = self._constant((*size, 0, 0, *size), self._dtype).expand(len(conditioning), -1)
        added = {"text_embeds": conditioning.tensors["pooled"], "time_ids": ids}
        return {**super()._conditions(conditioning), "added_cond_kwargs": added}

    def _unscaled(self, latents: Tensor) -> Tensor:
        config = self.decoder.config
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is None or deviation is None:
            return super()._unscaled(latents)
        shift, scale = (
            self._constant(values, latents.dtype)[:, None, None] for values in (mean, deviation)
        )
        return super()._unscaled(latents * scale) + shift
