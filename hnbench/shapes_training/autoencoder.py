"""Stage 1: the autoencoder, 64x64x3 pixels to 8x8x16 latents of zero mean and unit variance per
channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderTiny
from torch import Tensor, nn

from hnbench.shapes_training.examples import Examples, to_tensor
from hnbench.shapes_training.loop import minimise

if TYPE_CHECKING:
    from pathlib import Path

CHANNELS = 16
WIDTH = 32


def build() -> AutoencoderTiny:
    """The untrained model. Its images are in [-1, 1], as in every Stable Diffusion pipeline."""
    return AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * 4,
        decoder_block_out_channels=(WIDTH,) * 4,
        latent_channels=CHANNELS,
        num_encoder_blocks=(0, 1, 1, 2),
        num_decoder_blocks=(2, 2, 1, 0),
        scaling_factor=1.0,
    )


def foreground_weight(images: Tensor) -> Tensor:
    """The weights of the pixels of images in [0, 1], `[B, 1, H, W]`: 4 on objects, 1 on the
    background. Objects matter most, but cover only a tenth of the image.
    """
    return 1 + 3 * (images.amin(1, keepdim=True) < 0.6).float()


def train(
    folder: Path,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    seed: int = 0,
    fold_batches: int = 32,
    device: str = "cpu",
) -> None:
    """Train the autoencoder and save it in diffusers' layout. The normalisation of the latents is
    folded into the encoder's last convolution.
    """
    torch.manual_seed(seed)
    model = build().to(device, memory_format=torch.channels_last)
    whiten = nn.BatchNorm2d(CHANNELS, affine=False, momentum=0.02).to(device)
    examples = Examples(seed)

    def next_loss() -> tuple[Tensor, dict[str, float]]:
        images = to_tensor([examples.example().image for _ in range(batch_size)]).to(
            device, memory_format=torch.channels_last
        )
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            latents = whiten(model.encode(images * 2 - 1).latents.float())
            decoded = model.decode(latents + 0.08 * torch.randn_like(latents)).sample
        error = decoded.float() - (images * 2 - 1)
        loss = (foreground_weight(images) * (error.abs() + error.square())).mean()
        return loss, {"loss": float(loss.detach()), "l1": float(error.detach().abs().mean())}

    minimise(model, next_loss, steps=steps, learning_rate=learning_rate)
    _fold(model, whiten, examples, fold_batches)
    model.save_pretrained(folder)


@torch.no_grad()
def _fold(model: AutoencoderTiny, whiten: nn.BatchNorm2d, examples: Examples, batches: int) -> None:
    """Measure the latents' mean and variance again, because the weights are averaged ones now, and
    fold both into the encoder.
    """
    whiten.reset_running_stats()
    whiten.momentum = None  # a plain mean over all batches, instead of a moving one
    for _ in range(batches):
        images = to_tensor([examples.example().image for _ in range(32)]).to(model.device)
        whiten(model.encode(images * 2 - 1).latents)
    last = [module for module in model.encoder.modules() if isinstance(module, nn.Conv2d)][-1]
    assert whiten.running_mean is not None  # noqa: S101
    assert whiten.running_var is not None  # noqa: S101
    scale = (whiten.running_var + whiten.eps).rsqrt()
    assert last.bias is not None  # noqa: S101
    last.weight.mul_(scale[:, None, None, None])
    last.bias.sub_(whiten.running_mean).mul_(scale)
