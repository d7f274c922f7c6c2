"""A generator and a reward small enough to reason about, for tests that are not about real
models.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hnbench.generators.base import Conditioning, Generator
from hnbench.rewards.base import Reward
from hnbench.seeds import digest, seed_of


class ToyBackbone(nn.Module):
    """Two convolutions with a text shift between them; its last layer is `conv_out`."""

    def __init__(self, channels: int = 2, width: int = 8) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.text = nn.Linear(4, width)
        self.conv_out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, noise: Tensor, text: Tensor) -> Tensor:
        hidden = torch.tanh(self.conv_in(noise) + self.text(text)[:, :, None, None])
        output: Tensor = self.conv_out(hidden)
        return output


class ToyGenerator(Generator):
    """8x8 images from 2x4x4 noise; smooth in the noise; float64 on request."""

    name = "toy"
    noise_shape = (2, 4, 4)
    last_layer = "conv_out"

    def __init__(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = ToyBackbone().to(dtype).requires_grad_(False)
            self.to_rgb = (torch.randn(3, 2) * 0.7).to(dtype)
        self._dtype, self._seed = dtype, seed

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    @property
    def fingerprint(self) -> str:
        return digest(["toy", self._seed])

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        rows = [
            torch.randn(4, generator=torch.Generator().manual_seed(seed_of(prompt)))
            for prompt in prompts
        ]
        return Conditioning({"text": torch.stack(rows).to(self._dtype)})

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.backbone(noise.to(self._dtype), conditioning.tensors["text"])
        return output

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        latent = noise.to(self._dtype)
        for _ in range(steps):
            latent = latent - self.predict(latent, conditioning)
        rgb = torch.einsum("rc,bchw->brhw", self.to_rgb, latent)
        return torch.sigmoid(nn.functional.interpolate(rgb, scale_factor=2))


class BrightnessReward(Reward):
    """Mean over pixels, weighted by a pattern that the prompt's text decides."""

    name = "brightness"

    @property
    def fingerprint(self) -> str:
        return digest("brightness")

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        patterns = [
            torch.randn(
                3, 8, 8, generator=torch.Generator().manual_seed(seed_of("pattern", prompt))
            )
            for prompt in prompts
        ]
        return (images * torch.stack(patterns).to(images)).mean(dim=(1, 2, 3))
