"""The embedded world's features are those of its held-out reward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from torch.nn import functional
from torchvision.transforms.functional import pil_to_tensor

from hnbench.measures.shapes import ShapesFeatures, frechet, mmd, similarity, vendi
from hnbench.shapes.captions import all_captions
from hnbench.shapes.drawing import draw
from hnbench.shapes.models import load_efficientnet
from tests.measures.pictures import pictures


@torch.no_grad()
def test_the_features_are_open_clip_s_own() -> None:
    network = load_efficientnet(device="cpu", dtype="float32").model
    assert isinstance(network, CLIP)
    shown = pictures(4)
    pixels = torch.stack([pil_to_tensor(picture) for picture in shown]).float() / 255
    pixels = functional.interpolate(
        (pixels - 0.5) / 0.5, size=network.visual.image_size, mode="bilinear"
    )
    expected = network.encode_image(pixels, normalize=True)
    torch.testing.assert_close(ShapesFeatures("cpu").of(shown), expected, rtol=1e-4, atol=1e-5)


def test_pictures_may_have_several_sizes() -> None:
    shown = [*pictures(2), *pictures(1, (96, 80))]
    features = ShapesFeatures("cpu")
    torch.testing.assert_close(
        features.of(shown),
        torch.cat([features.of(shown[:2]), features.of(shown[2:])]),
        rtol=1e-4,
        atol=1e-5,
    )


def test_all_four_measures_share_them() -> None:
    shown = pictures(4)
    rng = np.random.default_rng(0)
    scenes = [Image.fromarray(draw(caption.scene(rng), rng)) for caption in all_captions("colors")]
    same, different = similarity("cpu").values([shown[:1] * 4, scenes[:4]])
    assert same == pytest.approx(1)
    assert -1 <= different < 0.99
    assert vendi("cpu").values([shown[:1] * 4])[0] == pytest.approx(1)
    for measure in (mmd("cpu"), frechet("cpu")):
        features = measure.features(shown)
        assert features.shape == ShapesFeatures("cpu").of(shown).shape
        assert measure.distance(features, features) == pytest.approx(0, abs=1e-6)
        assert measure.distance(features, measure.features(pictures(5, seed=1))) > 1e-3
    assert len({made("cpu").fingerprint for made in (similarity, vendi, mmd, frechet)}) == 4
