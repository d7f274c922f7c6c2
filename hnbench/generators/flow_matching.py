"""The shared base of rectified flows, which are sampled by a few Euler steps along velocities."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from hnbench.generators.pipeline import PipelineGenerator

if TYPE_CHECKING:
    from torch import Tensor

    from hnbench.generators.base import Conditioning


class FlowMatchingGenerator(PipelineGenerator):
    """A frozen pipeline with a FlowMatchEulerDiscreteScheduler: x = (1 - s) image + s noise, and s
    goes from 1 to 0.
    """

    @abstractmethod
    def _velocity(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        """The derivative of the latents `[B, ...]` in s, at one of the scheduler's timesteps (1000
        s), by one pass.
        """

    def _schedule(self, steps: int) -> dict[str, Any]:
        """The arguments of the scheduler's `set_timesteps` beside the number of steps: evenly
        spaced s, and what shifts them if the scheduler does that by the number of tokens.
        """
        return {"sigmas": np.linspace(1.0, 1 / steps, steps), "mu": self._shift(steps)}

    def _shift(self, steps: int) -> float:  # noqa: ARG002 - families differ
        config = self.scheduler.config
        limits = [config.get(name, value) for name, value in _SHIFT.items()]
        return float(calculate_shift(self._tokens_of_image, *limits))

    @property
    def _tokens_of_image(self) -> int:
        side = self.image_size // int(self.pipeline.vae_scale_factor) // self._patch()
        return int(side**2)

    def _started(self, steps: int, **arguments: Any) -> Any:
        return super()._started(steps, **{**self._schedule(steps), **arguments})

    def _sampled(self, noise: Tensor, conditioning: Conditioning, steps: int) -> Tensor:
        scheduler = self._started(steps)
        latents = noise.to(self._device)
        step_noise = self._step_noise(scheduler, conditioning, steps)
        for timestep in scheduler.timesteps:
            velocity = self._velocity(latents, timestep, conditioning).to(latents.dtype)
            latents = scheduler.step(velocity, timestep, latents, **step_noise, return_dict=False)[
                0
            ]
        return latents

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        return self._decode(self._unscaled(self._sampled(noise, conditioning, steps)))

    def _unscaled(self, latents: Tensor) -> Tensor:
        """Sampled latents `[B, *noise_shape]` as the decoder takes them, `[B, C, h, w]`."""
        config = self.decoder.config
        unscaled: Tensor = self.to_grid(latents) / config.scaling_factor + config.shift_factor
        return unscaled


_SHIFT = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "base_shift": 0.5,
    "max_shift": 1.15,
}
"""The scheduler's settings that shift the timesteps by the number of tokens, with the pipelines'
values for those that are missing.
"""
