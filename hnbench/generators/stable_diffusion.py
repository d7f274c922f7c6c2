"""Generators of the Stable Diffusion family with one text encoder: SD-Turbo, and that of the
embedded world. No classifier-free guidance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from hnbench.generators.samplers import Sampler


class StableDiffusionGenerator(PipelineGenerator):
    """A frozen StableDiffusionPipeline. `sampler` replaces its scheduler. A UNet that takes a
    guidance scale as an input is a `UsageError`.
    """

    pipeline_class = "StableDiffusionPipeline"
    backbone_part = "unet"
    last_layer = "conv_out"
    loading: ClassVar[Mapping[str, Any]] = {"requires_safety_checker": False}

    def __init__(self, pipeline: Any, **options: Any) -> None:
        if pipeline.unet.config.get("time_cond_proj_dim") is not None:
            raise UsageError(
                f"{options.get('name')} cannot be used: its UNet takes a guidance scale; give one"
                " without, for example the LoRA of the same model"
            )
        super().__init__(pipeline, **options)

    def _set_sampler(self, sampler: Sampler | None) -> None:
        self._sampler = sampler
        if sampler is not None:
            self._eta = sampler.eta
            self.scheduler = sampler.scheduler_like(self.pipeline.scheduler)

    @property
    def stock_arguments(self) -> dict[str, Any]:
        timesteps = self._sampler.timesteps(1) if self._sampler else None
        return {
            **super().stock_arguments,
            **({"timesteps": timesteps} if timesteps else {}),
            **({"eta": self._eta} if self._eta else {}),
        }

    def _started(self, steps: int, **arguments: Any) -> Any:
        if self._sampler is not None and (timesteps := self._sampler.timesteps(steps)):
            arguments = {"num_inference_steps": None, "timesteps": timesteps}
        with quiet_loading():  # diffusers warns of a first timestep that is not the last of all
            return super()._started(steps, **arguments)

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
