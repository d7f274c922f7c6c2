"""The embedded world's models, from the weights that come with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.generators.stable_diffusion import StableDiffusionGenerator
    from hnbench.rewards.clip import ClipReward
    from hnbench.rewards.open_clip import OpenClipReward

WEIGHTS = Path(str(files("hnbench"))) / "shapes" / "weights"
_HALF = (0.5, 0.5, 0.5)


def load_generator(
    *, device: str, dtype: str, memory: Sequence[str] = (), weights: Path = WEIGHTS
) -> StableDiffusionGenerator:
    """The one-step generator: 64x64 images from 16x8x8 noise."""
    from hnbench.generators.stable_diffusion import StableDiffusionGenerator

    return StableDiffusionGenerator.from_folder(
        weights / "generator",
        name="shapes",
        device=device,
        dtype=getattr(torch, dtype),
        memory=memory,
    )


def load_clip(*, device: str, dtype: str, weights: Path = WEIGHTS) -> ClipReward:
    """The optimised reward: a ViT."""
    from hnbench.rewards.clip import ClipReward

    return ClipReward(
        weights / "clip",
        name="shapes-clip",
        mean=_HALF,
        std=_HALF,
        device=device,
        dtype=getattr(torch, dtype),
    )


def load_resnet(*, device: str, dtype: str) -> OpenClipReward:
    """The held-out reward: a convolutional network, trained with another seed."""
    from hnbench.rewards.open_clip import OpenClipReward

    return OpenClipReward(
        WEIGHTS / "resnet",
        name="shapes-resnet",
        mean=_HALF,
        std=_HALF,
        device=device,
        dtype=getattr(torch, dtype),
    )
