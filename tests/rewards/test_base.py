from __future__ import annotations

import pytest
import torch
from PIL import Image

from hnbench.rewards.base import Mixture
from hnbench.rewards.redness import Redness, load
from hnbench.testing.toys import BrightnessReward


def test_a_mixture_is_the_weighted_sum_per_sample() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    prompts = ["a", "b", "c", "d"]
    mixed = Mixture({"brightness": (BrightnessReward(), 2.0), "redness": (Redness(), -0.5)})
    expected = 2.0 * BrightnessReward().score(images, prompts) - 0.5 * Redness().score(
        images, prompts
    )
    torch.testing.assert_close(mixed.score(images, prompts), expected)


def test_a_mixture_is_known_by_its_parts_and_weights() -> None:
    prints = {Mixture({"redness": (Redness(), weight)}).fingerprint for weight in (1.0, 2.0)}
    assert len(prints) == 2


def test_an_empty_mixture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mixture({})


def test_redness_of_plain_colours() -> None:
    images = torch.zeros(4, 3, 5, 7)
    images[0, 0] = 1  # red
    images[1, 1] = 1  # green
    images[2] = 1  # white
    assert load(device="cpu", dtype="float32").score(images, ["x"] * 4).tolist() == [
        1.0,
        -0.5,
        0.0,
        0.0,
    ]


def test_pictures_go_the_way_of_the_tensors_by_default() -> None:
    levels = torch.randint(0, 256, (2, 3, 5, 7), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )
    pictures = [Image.fromarray(part.permute(1, 2, 0).contiguous().numpy()) for part in levels]
    mixed = Mixture({"red": (Redness(), 3.0)})
    expected = Redness().score(levels.float() / 255, ["a", "b"])
    assert torch.equal(
        Redness().score_pictures(pictures, ["a", "b"], torch.device("cpu")), expected
    )
    assert torch.equal(
        mixed.score_pictures(pictures, ["a", "b"], torch.device("cpu")), 3.0 * expected
    )
