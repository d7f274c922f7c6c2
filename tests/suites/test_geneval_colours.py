"""The colour classifier against the published description, followed one object at a time."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.transform import image_transform
from PIL import Image

from hnbench.suites.geneval import colours
from hnbench.suites.geneval.colours import ColourClassifier, CutOut
from hnbench.suites.geneval.detector import Instance
from hnbench.suites.geneval.rules import COLOURS

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TRANSFORM = image_transform(32, is_train=False)


def clip(*, quick_gelu: bool = True) -> CLIP:
    torch.manual_seed(0)
    model = CLIP(
        16,
        CLIPVisionCfg(layers=2, width=32, head_width=16, patch_size=8, image_size=32),
        CLIPTextCfg(context_length=16, vocab_size=300, width=32, heads=2, layers=2),
        quick_gelu=quick_gelu,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def tokenize(texts: list[str]) -> torch.Tensor:
    """Bytes, with the largest id at the end, which is where this CLIP reads a text."""
    ids = torch.zeros(len(texts), 16, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        kept = [*text.encode()[-15:], 299]
        row[: len(kept)] = torch.tensor(kept)
    return ids


def classifier(model: CLIP) -> ColourClassifier:
    return ColourClassifier(model, tokenize, TRANSFORM, fingerprint="random")


def cut_out(seed: int) -> CutOut:
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(20, 60)), int(rng.integers(20, 60))
    pixels = rng.integers(0, 256, (1, 1, 3)) * 0.8 + rng.integers(0, 50, (height, width, 3))
    mask = np.zeros((height, width), bool)
    mask[3:15, 5:18] = rng.random((12, 13)) < 0.8
    image = Image.fromarray(pixels.astype(np.uint8))
    return CutOut(image, ["car", "dog"][seed % 2], Instance((5.0, 3.0, 18.0, 15.0), 0.9, mask=mask))


@torch.no_grad()
def colour_by_hand(model: CLIP, item: CutOut) -> str:
    """The published steps for one object: composite on #999, crop, shortest side to 32, centre,
    normalise; three templates a colour.
    """
    pixels = np.asarray(item.image).copy()
    pixels[~item.instance.mask] = (0x99, 0x99, 0x99)
    left, top, right, bottom = (round(side) for side in item.instance.box)
    patch = Image.fromarray(pixels[top:bottom, left:right])
    scale = 32 / min(patch.size)
    patch = patch.resize(
        (max(32, int(patch.width * scale)), max(32, int(patch.height * scale))),
        Image.Resampling.BICUBIC,
    )
    across, down = round((patch.width - 32) / 2), round((patch.height - 32) / 2)
    values = torch.from_numpy(
        np.asarray(patch)[down : down + 32, across : across + 32].astype(np.float32) / 255
    ).permute(2, 0, 1)
    image = model.encode_image(
        ((values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[None]
    )[0]
    logits = []
    for colour in COLOURS:
        total = torch.zeros(16)
        for text in (
            f"a photo of a {colour} {item.name}",
            f"a photo of a {colour}-colored {item.name}",
            f"a photo of a {colour} object",
        ):
            embedding = model.encode_text(tokenize([text]))[0]
            total += embedding / embedding.norm() / 3
        logits.append(float(100 * (image / image.norm()) @ (total / total.norm())))
    return COLOURS[int(np.argmax(logits))]


def test_batches_give_what_one_object_at_a_time_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colours, "BATCH", 7)
    model = clip()
    items = [cut_out(seed) for seed in range(30)]
    expected = [colour_by_hand(model, item) for item in items]
    assert classifier(model).classify(items) == expected
    assert len(set(expected)) > 2


def test_the_ten_colours_are_in_the_published_order() -> None:
    assert COLOURS == (
        "red",
        "orange",
        "yellow",
        "green",
        "blue",
        "purple",
        "pink",
        "brown",
        "black",
        "white",
    )


def test_pixels_outside_of_the_mask_do_not_matter() -> None:
    item = cut_out(0)
    pixels = np.asarray(item.image).copy()
    pixels[~item.instance.mask] = 255 - pixels[~item.instance.mask]
    other = CutOut(Image.fromarray(pixels), item.name, item.instance)
    assert item.picture().tobytes() == other.picture().tobytes()
    assert item.picture().size == (13, 12)


def test_nothing_to_classify_is_no_colour() -> None:
    assert classifier(clip()).classify([]) == []


def test_plain_gelu_is_refused() -> None:
    with pytest.raises(ValueError, match="QuickGELU"):
        classifier(clip(quick_gelu=False))


def test_the_architecture_has_quick_gelu_in_open_clip() -> None:
    config = open_clip.get_model_config(colours.ARCHITECTURE)
    assert config is not None
    assert config["quick_gelu"] is True
    assert config["vision_cfg"]["image_size"] == 224
