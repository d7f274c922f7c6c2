"""The embedded world's models as the published programs call theirs: by diffusers and
transformers, without a cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hnbench.rewards.clip import ClipReward
from hnbench.weights.pixels import Pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from hnbench.generators.stable_diffusion import StableDiffusionGenerator
    from hnbench.rewards.base import Reward

HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation of the embedded world's pixels."""


class Texts:
    """Encoded texts. With `kept`, a text is encoded only the first time."""

    def __init__(self, encode: Callable[[list[str]], Tensor], *, kept: bool) -> None:
        self._encode, self._kept = encode, kept
        self._known: dict[tuple[str, ...], Tensor] = {}

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """The features `[B, ...]` of these prompts, encoded together."""
        if not self._kept:
            return self._encode(list(prompts))
        key = tuple(prompts)
        if key not in self._known:
            self._known[key] = self._encode(list(prompts))
        return self._known[key]


class Pipeline:
    """A Stable Diffusion pipeline in one step, from the generator's own parts."""

    def __init__(self, generator: StableDiffusionGenerator, *, text_kept: bool) -> None:
        self.pipeline: Any = generator.pipeline
        self.device = generator.device
        self.texts = Texts(self._hidden, kept=text_kept)

    def _hidden(self, prompts: list[str]) -> Tensor:
        hidden: Tensor = self.pipeline.encode_prompt(
            prompts, self.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )[0]
        return hidden

    def __call__(self, latents: Tensor, prompts: Sequence[str]) -> Tensor:
        """Images `[B, 3, H, W]` in [0, 1] of latents `[B, C, h, w]`, differentiable."""
        hidden = self.texts(prompts)
        scheduler, vae = self.pipeline.scheduler, self.pipeline.vae
        scheduler.set_timesteps(1, device=self.device)
        latents = latents * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            predicted = self.pipeline.unet(
                scaled, timestep, encoder_hidden_states=hidden, return_dict=False
            )[0]
            latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
        decoded = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
        images: Tensor = (decoded / 2 + 0.5).clamp(0, 1)
        return images


class ClipScore:
    """The weighted CLIP score of one batch, with the text tower's pass unless the text is kept."""

    def __init__(self, reward: Reward, weight: float, *, text_kept: bool) -> None:
        assert isinstance(reward, ClipReward)
        self.model, self.tokenizer, self.weight = reward.model, reward.tokenizer, weight
        self.pixels = Pixels(
            self.model.config.vision_config.image_size, HALF, HALF, self.model.device
        )
        self.texts = Texts(self._features, kept=text_kept)

    def _features(self, prompts: list[str]) -> Tensor:
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(
            prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).to(self.model.device)
        pooled = self.model.text_model(**tokens).pooler_output
        features = self.model.text_projection(pooled)
        unit: Tensor = features / features.norm(dim=-1, keepdim=True)
        return unit

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Scores `[B]` of images `[B, 3, H, W]` in [0, 1], differentiable."""
        text = self.texts(prompts)
        pooled = self.model.vision_model(self.pixels(images)).pooler_output
        features = self.model.visual_projection(pooled)
        features = features / features.norm(dim=-1, keepdim=True)
        similarity = self.model.logit_scale.exp() * features @ text.T
        scores: Tensor = self.weight * similarity.diagonal()
        return scores
