"""Prompts, images and pictures that rewards are tried on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PROMPTS = [
    "a photo of a red circle",
    "two stars, and a heart above a ring on a sunny day by the sea",
    " ".join(["a very long prompt with many more words than thirty-five tokens hold"] * 4),
]


def images(count: int, size: tuple[int, int] = (64, 64)) -> Tensor:
    """Noise `[count, 3, *size]` in [0, 1]."""
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def picture(size: tuple[int, int], seed: int) -> Image.Image:
    """Smooth colours with sharp edges, `size` = (width, height): what photographs are made of."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    for _ in range(4):
        width, height = (int(random.integers(side // 8, side // 3)) for side in size)
        corner = (
            int(random.integers(0, size[0] - width)),
            int(random.integers(0, size[1] - height)),
        )
        coarse.paste(
            tuple(int(value) for value in random.integers(0, 256, 3)),
            (*corner, corner[0] + width, corner[1] + height),
        )
    return coarse


def bert_vocabulary(folder: Path, size: int) -> None:
    """A `vocab.txt` of so many word pieces: single letters and invented words."""
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "red",
        "circle",
        "photo",
        "prompt",
        "star",
        ",",
        "-",
    ]
    pieces += [prefix + letter for prefix in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz"]
    pieces += [f"[unused{number}]" for number in range(size - len(pieces))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
