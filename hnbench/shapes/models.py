"""The embedded world's models, from the weights that come with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hnbench.shapes.preference import PREFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hnbench.generators.stable_diffusion import StableDiffusionGenerator
    from hnbench.rewards.base import Mixture, Reward
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
    """The first optimised reward: a ViT as CLIPModel."""
    from hnbench.rewards.clip import ClipReward

    return ClipReward(
        weights / "clip",
        name="shapes-clip",
        mean=_HALF,
        std=_HALF,
        device=device,
        dtype=getattr(torch, dtype),
    )


def load_resnet(*, device: str, dtype: str, weights: Path = WEIGHTS) -> OpenClipReward:
    """The second optimised reward: open_clip's ModifiedResNet."""
    return _open_clip("resnet", device, dtype, weights)


def load_byobnet(*, device: str, dtype: str, weights: Path = WEIGHTS) -> OpenClipReward:
    """The third optimised reward: a ByobNet."""
    return _open_clip("byobnet", device, dtype, weights)


def load_efficientnet(*, device: str, dtype: str, weights: Path = WEIGHTS) -> OpenClipReward:
    """The held-out reward: an EfficientNet."""
    return _open_clip("efficientnet", device, dtype, weights)


REWARDS: Mapping[str, Callable[..., Reward]] = {
    "clip": load_clip,
    "resnet": load_resnet,
    "byobnet": load_byobnet,
    "efficientnet": load_efficientnet,
}
"""Folder of weights -> what loads the reward in it, which is named `shapes-<folder>`."""


def load_preference(*, device: str, dtype: str, weights: Path = WEIGHTS) -> Mixture:
    """The mixture `shapes-preference` of the optimised rewards."""
    from hnbench.rewards.base import Mixture

    parts = {}
    for name, weight in PREFERENCE.items():
        load = REWARDS[name.removeprefix("shapes-")]
        parts[name] = load(device=device, dtype=dtype, weights=weights), weight
    return Mixture(parts)


def _open_clip(folder: str, device: str, dtype: str, weights: Path) -> OpenClipReward:
    from hnbench.rewards.open_clip import OpenClipReward

    return OpenClipReward(
        weights / folder,
        name=f"shapes-{folder}",
        mean=_HALF,
        std=_HALF,
        device=device,
        dtype=getattr(torch, dtype),
    )
