from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hnbench.rewards.base import Mixture
from hnbench.runs.pixels import quantise, to_png
from hnbench.runs.recorder import Chosen, Measurement, Recorder
from hnbench.runs.store import RunStore
from hnbench.tasks import Task
from hnbench.testing.toys import RedReward
from tests.runs.world import WorldJudge, WorldSuite


def test_quantisation_clamps_and_rounds_half_to_even() -> None:
    values = torch.tensor(
        [-0.5, 0.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.4999 / 255, 1.0, 1.5], dtype=torch.float64
    )
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


class TwoWays(RedReward):
    """Tensors are scored 1, pictures 2."""

    name = "two-ways"

    def score(self, images: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        return torch.ones(len(images))

    def score_pictures(
        self, pictures: Sequence[Image.Image], prompts: Sequence[str], device: torch.device
    ) -> torch.Tensor:
        assert [picture.mode for picture in pictures] == ["RGB"] * len(prompts)
        return torch.full((len(pictures),), 2.0)


def test_what_is_reported_is_the_pictures_score(tmp_path: Path) -> None:
    prompt = WorldSuite().prompts()[0]
    image = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0))
    chosen = Chosen("ab" * 32, Task(prompt.id, prompt.text, 0), quantise(image))
    with RunStore(tmp_path) as store, ThreadPoolExecutor(1) as worker:
        measurer = Recorder(
            store=store,
            rewards=Mixture({"two-ways": (TwoWays(), 3.0)}),
            held_out=[RedReward()],
            judge=WorldJudge(),
            metadata={prompt.id: prompt.metadata},
            device=torch.device("cpu"),
            worker=worker,
        )
        measured = measurer.begin([chosen], 4).result()[chosen.id]
    assert isinstance(measured, Measurement)
    red = float((quantise(image)[0].float() / 255).mean())
    assert measured.rewards == pytest.approx({"two-ways": 2.0, "red": red, "optimised": 6.0})
