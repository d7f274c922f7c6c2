"""PixArt-alpha: the one-step PixArt-DMD, and few-step models with a scheduler of their own (LCM).
No classifier-free guidance.

Chen et al., "PixArt-Sigma", arXiv 2403.04692, whose repository has PixArt-DMD; Yin et al.,
"One-step Diffusion with Distribution Matching Distillation", arXiv 2311.18828.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusers import DDPMScheduler

from hnbench.generators.base import Conditioning
from hnbench.generators.pipeline import PipelineGenerator

if TYPE_CHECKING:
    from torch import Tensor

FIRST_TIMESTEP = 400
"""The timestep, of 1000, that PixArt-DMD begins at."""
SIZE_CONDITIONED = 128
"""Transformers for latents of this size (1024 pixels) take resolution and aspect ratio too."""


class PixArtGenerator(PipelineGenerator):
    """A frozen PixArtAlphaPipeline.

    A model with a DDPMScheduler counts as a PixArt-DMD: it begins at timestep 400, and several
    steps divide the way down from there evenly. With any other scheduler, the timesteps are the
    scheduler's. Captions are lower-cased and stripped; the pipeline's further cleaning is off,
    because it depends on packages that may not be installed.
    """

    pipeline_class = "PixArtAlphaPipeline"
    last_layer = "proj_out"

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        hidden, mask, _, _ = self.pipeline.encode_prompt(
            prompts, do_classifier_free_guidance=False, device=self._device, clean_caption=False
        )
        return {"hidden_states": hidden.to(self._dtype), "attention_mask": mask}

    @property
    def stock_arguments(self) -> dict[str, Any]:
        timesteps = (
            {"timesteps": [FIRST_TIMESTEP]} if isinstance(self.scheduler, DDPMScheduler) else {}
        )
        plain = {"clean_caption": False, "use_resolution_binning": False}
        return {**super().stock_arguments, **plain, **timesteps}

    def _started(self, steps: int, **arguments: Any) -> Any:
        if isinstance(self.scheduler, DDPMScheduler):
            descending = [FIRST_TIMESTEP * (steps - index) // steps for index in range(steps)]
            arguments = {"num_inference_steps": None, "timesteps": descending}
        return super()._started(steps, **arguments)

    def _denoise(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        found: Tensor = self.backbone(
            latents.to(self._dtype),
            encoder_hidden_states=conditioning.tensors["hidden_states"],
            encoder_attention_mask=conditioning.tensors["attention_mask"],
            timestep=self._on_device(timestep).expand(len(latents)),
            added_cond_kwargs=self._size_conditions(len(latents)),
            return_dict=False,
        )[0]
        # A second half of the channels would be a variance, which one-step models do not use.
        return found[:, : latents.shape[1]]

    def _size_conditions(self, samples: int) -> dict[str, Tensor | None]:
        if self.architecture.sample_size != SIZE_CONDITIONED:
            return {"resolution": None, "aspect_ratio": None}
        size = float(self.image_size)
        values = {"resolution": (size, size), "aspect_ratio": (1.0,)}
        return {
            name: self._constant(value, self._dtype).expand(samples, -1)
            for name, value in values.items()
        }

    def _after_step(self, stepped: tuple[Tensor, ...], steps: int) -> Tensor:
        # A single step goes straight to the predicted clean latents.
        following, clean = stepped
        return clean if steps == 1 else following

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        latents = self._sampled(noise, conditioning, steps)
        return self._decode(latents / self.decoder.config.scaling_factor)
