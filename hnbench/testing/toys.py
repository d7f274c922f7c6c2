"""A generator and two rewards that are small enough to reason about, for tests that need no real
models. They need no files, and a batch takes milliseconds on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hnbench.generators.base import Conditioning, Generator
from hnbench.rewards.base import Reward
from hnbench.seeds import digest, seed_of


class ToyBackbone(nn.Module):
    """Two convolutions, with a shift by the text between them. The last layer is `conv_out`.

    It maps noise `[B, channels, h, w]` and a text `[B, 4]` to `[B, channels, h, w]`.
    """

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
    """Images `[B, 3, 8, 8]` from noise `[B, 2, 4, 4]`, smooth in the noise, on the CPU.

    Its weights are drawn from `seed`. A prompt's text is a random vector, seeded by the prompt.
    `dtype` is a floating-point type; use float64 for comparisons with finite differences.
    """

    name = "toy"
    noise_shape = (2, 4, 4)
    last_layer = "conv_out"

    def __init__(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> None:
        # The fork leaves the random state of the caller as it was.
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
    """The weighted mean over the pixels of images `[B, 3, 8, 8]`. The weights are a random pattern
    of both signs, seeded by the prompt.
    """

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


class RedReward(Reward):
    """The mean of the red channel of images of any size, in [0, 1]. It ignores the prompt."""

    name = "red"

    @property
    def fingerprint(self) -> str:
        return digest("red")

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:  # noqa: ARG002
        return images[:, 0].mean(dim=(1, 2))
