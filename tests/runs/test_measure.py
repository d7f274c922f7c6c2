from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from hnbench.runs.measure import quantise, to_png


def test_quantisation_clamps_and_rounds_half_to_even() -> None:
    values = torch.tensor([-0.5, 0.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.4999 / 255, 1.0, 1.5], dtype=torch.float64)
    assert quantise(values).tolist() == [0, 0, 0, 2, 2, 0, 255, 255]
    assert quantise(values).dtype == torch.uint8


def test_every_8_bit_value_is_a_fixed_point() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(quantise(levels.float() / 255), levels)


def test_png_loses_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    read = Image.open(io.BytesIO(to_png(Image.fromarray(pixels))))
    assert (read.format, read.mode) == ("PNG", "RGB")
    assert np.array_equal(np.array(read), pixels)
