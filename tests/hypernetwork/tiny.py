"""A small real UNet as a generator, prompts, and a training configuration of a few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import SanaTransformer2DModel, UNet2DConditionModel
from torch import Tensor, nn

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture
from hnbench.seeds import digest, seed_of
from hnbench.testing.toys import BrightnessReward

PROMPTS = [
    f"a drawing of {word}" for word in ("a dog", "a cat", "a cow", "a hen", "a fox", "a bee")
]


REGRESSION: dict[str, Any] = {
    "kind": "regression",
    "pairs": 10,
    "reno_iterations": 3,
    "reno_learning_rate": 2.0,
}


def config(**changes: Any) -> TrainingConfig:
    small: dict[str, Any] = {
        "kind": "hypernoise",
        "generator": "toy",
        "rewards": {"brightness": 1.0},
        "prompts": "six drawings",
        "steps": 6,
        "batch_size": 4,
        "learning_rate": 0.5,
        "rank": 4,
        "lora_alpha": 8,
        "eval_every": 2,
        "eval_samples": 3,
        "save_every": 1,
    }
    return TrainingConfig(**(small | changes))


def mixture(weight: float = 1.0) -> Mixture:
    return Mixture({"brightness": (BrightnessReward(), weight)})


def search_of(plan: TrainingConfig) -> ReNO | None:
    """The search for the pairs of a training, if it is a regression."""
    iterations, rate = plan.reno_iterations, plan.reno_learning_rate
    return ReNO(iterations=iterations, learning_rate=rate) if iterations and rate else None


class UNetGenerator(Generator):
    """A one-step generator on a diffusers UNet with attention, 2x8x8 noise; its images are the
    first two channels and their sum.
    """

    name = "unet"
    noise_shape = (2, 8, 8)
    last_layer = "conv_out"
    fingerprint = digest("unet")

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network: nn.Module = UNet2DConditionModel(
                sample_size=8,
                in_channels=2,
                out_channels=2,
                layers_per_block=1,
                block_out_channels=(8, 16),
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                cross_attention_dim=8,
                attention_head_dim=4,
                norm_num_groups=4,
            )
        self.backbone = network.to(dtype).eval().requires_grad_(False)
        self._dtype = dtype

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        rows = [
            torch.randn(3, 8, generator=torch.Generator().manual_seed(seed_of(prompt)))
            for prompt in prompts
        ]
        return Conditioning({"text": torch.stack(rows).to(self._dtype)})

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.backbone(
            noise.to(self._dtype), 999, conditioning.tensors["text"]
        ).sample
        return output

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        latent = noise - self.predict(noise, conditioning).to(noise.dtype)
        return torch.sigmoid(torch.cat([latent, latent.sum(1, keepdim=True)], dim=1))


class SanaGenerator(Generator):
    """A one-step generator on a small SANA transformer, whose feed-forward has depthwise
    convolutions; 4x8x8 noise.
    """

    name = "sana"
    noise_shape = (4, 8, 8)
    last_layer = "proj_out"
    fingerprint = digest("sana")

    def __init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network: nn.Module = SanaTransformer2DModel(
                patch_size=1,
                in_channels=4,
                out_channels=4,
                num_layers=2,
                num_attention_heads=2,
                attention_head_dim=8,
                num_cross_attention_heads=2,
                cross_attention_head_dim=8,
                cross_attention_dim=16,
                caption_channels=32,
                sample_size=8,
                qk_norm="rms_norm_across_heads",
                guidance_embeds=True,
            )
        self.backbone = network.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        rows = [
            torch.randn(5, 32, generator=torch.Generator().manual_seed(seed_of(prompt)))
            for prompt in prompts
        ]
        return Conditioning(
            {"text": torch.stack(rows), "mask": torch.ones(len(prompts), 5, dtype=torch.long)}
        )

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.backbone(
            noise,
            encoder_hidden_states=conditioning.tensors["text"],
            encoder_attention_mask=conditioning.tensors["mask"],
            guidance=torch.full((len(noise),), 0.45),
            timestep=torch.ones(len(noise)),
        ).sample
        return output

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        return torch.sigmoid((noise - self.predict(noise, conditioning))[:, :3])
