"""SANA-Sprint: continuous-time consistency sampling (sCM, TrigFlow) with an embedded guidance
scale.

Chen et al., "SANA-Sprint: One-Step Diffusion with Continuous-Time Consistency Distillation", arXiv
2503.09641.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from diffusers import SanaSprintPipeline

from hnbench.generators.base import Conditioning
from hnbench.generators.pipeline import PipelineGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

GUIDANCE = 4.5
"""The embedded guidance scale, without a second pass: the pipeline's default, and HyperNoise's."""
MAX_TOKENS = 300
"""The text encoder's tokens, as in the pipeline."""
BETWEEN_TWO_STEPS = 1.3
"""The TrigFlow angle between two steps, the pipeline's default. With other numbers of steps the
angles are evenly spaced.
"""


class SanaSprintGenerator(PipelineGenerator):
    """A frozen SanaSprintPipeline.

    The prompt prefix is the pipeline's "complex human instruction", which asks the language model
    that encodes the text to enrich the prompt. The pipeline has it on; HyperNoise trained and
    evaluated with it off, which is the default here.
    """

    pipeline_class = "SanaSprintPipeline"
    last_layer = "proj_out"
    first_time = 1.0
    beside_float16: ClassVar[Mapping[str, torch.dtype]] = {
        "text_encoder": torch.bfloat16,
        "vae": torch.float32,
    }

    def _set_prefix(self, prefix: bool | None) -> None:
        self.prompt_prefix = bool(prefix)

    def _set_intermediate(self, angle: float | Literal["even"] | None) -> None:
        self._between: float | None = (
            BETWEEN_TWO_STEPS if angle is None else None if angle == "even" else angle
        )

    @property
    def details(self) -> dict[str, Any]:
        # Not in the fingerprint: the angle changes how the model is sampled, not the model, and a
        # hypernetwork for the model fits all the same.
        return {**super().details, "intermediate_timesteps": self._between or "even"}

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "guidance": GUIDANCE, "prompt_prefix": self.prompt_prefix}

    @property
    def stock_arguments(self) -> dict[str, Any]:
        return {
            **super().stock_arguments,
            "guidance_scale": GUIDANCE,
            "intermediate_timesteps": None,
            "use_resolution_binning": False,
            **({} if self.prompt_prefix else {"complex_human_instruction": None}),
        }

    def stock_latents(self, noise: Tensor) -> Tensor:
        return noise  # the pipeline keeps latents in float32 itself

    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        # The instruction is written only in the pipeline's own default argument.
        stock = (
            inspect.signature(SanaSprintPipeline.__call__)
            .parameters["complex_human_instruction"]
            .default
        )
        hidden, mask = self.pipeline.encode_prompt(
            prompts,
            device=self._device,
            max_sequence_length=MAX_TOKENS,
            complex_human_instruction=stock if self.prompt_prefix else None,
        )
        return {"hidden_states": hidden.to(self._dtype), "attention_mask": mask}

    def _denoise(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass; `time` is in the network's own units, 0 to 1."""
        guidance = torch.full((len(latents),), GUIDANCE, device=self._device, dtype=self._dtype)
        found: Tensor = self.backbone(
            latents.to(self._dtype),
            encoder_hidden_states=conditioning.tensors["hidden_states"],
            encoder_attention_mask=conditioning.tensors["attention_mask"],
            guidance=guidance * self.architecture.guidance_embeds_scale,
            timestep=self._on_device(time).expand(len(latents)),
            return_dict=False,
        )[0]
        return found

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        scheduler = self._started(
            steps, intermediate_timesteps=self._between if steps == 2 else None
        )
        deviation = scheduler.config.sigma_data
        latents = clean = noise.to(self._device) * deviation
        step_noise = self._step_noise(scheduler, conditioning, steps)
        for angle in scheduler.timesteps[:-1]:
            # The network predicts the velocity of a linear flow; the scheduler wants TrigFlow's.
            time = angle.sin() / (angle.cos() + angle.sin())
            length = (time.square() + (1 - time).square()).sqrt()
            scaled = latents / deviation * length
            prediction = self._denoise(scaled, time, conditioning).to(latents.dtype)
            velocity = (
                (1 - 2 * time) * scaled + (1 - 2 * time + 2 * time.square()) * prediction
            ) / length
            latents, clean = scheduler.step(
                velocity * deviation, angle, latents, **step_noise, return_dict=False
            )
        return self._decode(clean / deviation / self.decoder.config.scaling_factor)
