"""Loads CLIP's checkpoints in the layout of transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.weights.checkpoint import load_pretrained

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import CLIPModel


def load_clip_model(folder: Path, dtype: torch.dtype) -> CLIPModel:
    """The CLIPModel in a folder, with every key in its place; anything else is a `UsageError`."""
    from transformers import CLIPModel

    model: CLIPModel = load_pretrained(CLIPModel, folder, dtype=dtype)
    return model
