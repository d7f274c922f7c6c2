"""Pictures that differ, and the golden pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())


def pictures(count: int, size: tuple[int, int] = (64, 64), seed: int = 0) -> list[Image.Image]:
    """Random blocks of colour: pictures of clearly different features. `size` is width and
    height.
    """
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [Image.fromarray(block).resize(size, Image.Resampling.NEAREST) for block in blocks]
