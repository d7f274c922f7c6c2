"""Stage 3: a first training of the teacher's network, to draw the objects of a caption.

With flow matching alone, a network slowly learns what to draw: at most noise levels it must also
know where, and nothing tells it yet. Under the rule of `coupling`, the noise tells it where, and
drawing is learned in a fraction of the steps. The teacher begins with these weights. It forgets the
rule, because its noise and images are independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hnbench.shapes.drawing import draw
from hnbench.shapes_training.coupling import background_of, scene_of
from hnbench.shapes_training.denoiser import SHAPE, Denoiser
from hnbench.shapes_training.distillation import pseudo_huber
from hnbench.shapes_training.examples import Examples, to_tensor
from hnbench.shapes_training.flow import SHARES
from hnbench.shapes_training.loop import minimise

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny

    from hnbench.shapes.captions import Caption


class CoupledExamples:
    """Endless pairs of noise and latents under the rule of `coupling`. Half of each batch is newly
    drawn, the other half was in earlier batches.
    """

    def __init__(self, autoencoder: AutoencoderTiny, seed: int) -> None:
        self.autoencoder, self.examples = autoencoder, Examples(seed, SHARES)
        self.noises = torch.Generator().manual_seed(seed)
        self._pool: list[tuple[Tensor, Tensor, Caption]] = []

    def next(self, size: int) -> tuple[Tensor, Tensor, list[Caption]]:
        """Noise `[B, 16, 8, 8]`, the latents (same shape) of the images that the rule draws for it,
        and the captions.
        """
        fresh = self._draw(size if len(self._pool) < size else size // 2)
        old = [self.examples.choices.choice(self._pool) for _ in range(size - len(fresh))]
        self._pool += fresh
        noise, latents, captions = zip(*(fresh + old), strict=True)
        return torch.stack(noise), torch.stack(latents).float(), list(captions)

    @torch.no_grad()
    def _draw(self, size: int) -> list[tuple[Tensor, Tensor, Caption]]:
        noise = torch.randn((size, *SHAPE), generator=self.noises)
        captions = [self.examples.caption() for _ in range(size)]
        images = [
            draw(scene_of(caption, each), self.examples.pixels, background_of(each))
            for caption, each in zip(captions, noise.double().numpy(), strict=True)
        ]
        shown = to_tensor(images).to(self.autoencoder.device, memory_format=torch.channels_last)
        latents = self.autoencoder.encode(shown * 2 - 1).latents.half().cpu()
        return list(zip(noise, latents, captions, strict=True))


def train_coupled(
    model: Denoiser,
    examples: CoupledExamples,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
) -> None:
    """Train the model in place to predict the latents from the noise, at t = 1; the averaged
    weights remain.
    """
    ones = torch.ones(batch_size, device=model.device)

    def next_loss() -> tuple[Tensor, dict[str, float]]:
        noise, latents, captions = examples.next(batch_size)
        noise, latents = noise.to(model.device), latents.to(model.device)
        error = model(noise, ones, model.tokens([caption.text for caption in captions])) - latents
        loss = pseudo_huber(error, latents)
        return loss, {"loss": float(loss.detach()), "mse": float(error.detach().square().mean())}

    minimise(model, next_loss, steps=steps, learning_rate=learning_rate)
