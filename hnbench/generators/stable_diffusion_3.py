"""Stable Diffusion 3.5 Large Turbo: a rectified flow, distilled to 4 Euler steps. No guidance.

Esser et al., "Scaling Rectified Flow Transformers", arXiv 2403.03206; Sauer et al., "Fast
High-Resolution Image Synthesis with Latent Adversarial Diffusion Distillation", arXiv 2403.12015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from hnbench.generators.flow_matching import FlowMatchingGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from hnbench.generators.base import Conditioning

MAX_TOKENS = 256
"""T5's tokens, the pipeline's default. Padding is not masked. CLIP's 77 come before them."""


class StableDiffusion3Generator(FlowMatchingGenerator):
    """A frozen StableDiffusion3Pipeline with all of its three text encoders."""

    pipeline_class = "StableDiffusion3Pipeline"
    text_parts = ("text_encoder", "text_encoder_2", "text_encoder_3")
    last_layer = "proj_out"
    beside_float16: ClassVar[Mapping[str, torch.dtype]] = {
        "text_encoder_3": torch.bfloat16,
        "vae": torch.float32,
    }

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        hidden, _, pooled, _ = self.pipeline.encode_prompt(
            prompts,
            prompt_2=None,
            prompt_3=None,
            device=self._device,
            do_classifier_free_guidance=False,
            max_sequence_length=MAX_TOKENS,
        )
        return {"hidden_states": hidden.to(self._dtype), "pooled": pooled.to(self._dtype)}

    def _schedule(self, steps: int) -> dict[str, Any]:
        # As in the stock pipeline, the scheduler spaces the steps: down to its smallest timestep.
        return {"mu": self._shift(steps)}

    def _denoise(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        found: Tensor = self.backbone(
            hidden_states=latents.to(self._dtype),
            timestep=self._on_device(timestep).expand(len(latents)),
            encoder_hidden_states=conditioning.tensors["hidden_states"],
            pooled_projections=conditioning.tensors["pooled"],
            return_dict=False,
        )[0]
        return found

    def _velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        return self._denoise(latents, timestep, conditioning)
