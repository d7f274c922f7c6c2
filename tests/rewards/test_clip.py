"""The two dual-encoder rewards against the libraries' own similarity, on random weights of the real
classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import load_file
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.rewards.base import Reward
from hnbench.rewards.clip import ClipReward, load
from hnbench.rewards.open_clip import OpenClipReward, build
from hnbench.shapes_training.encoders import (
    EFFICIENTNET,
    RESNET,
    OpenClipEncoder,
    TwoTowers,
    VitEncoder,
)
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD, Pixels
from tests.rewards import tiny

PROMPTS = ["a photo of a red circle", "a photo of two stars", "a photo of a heart above a ring"]
HALF = (0.5, 0.5, 0.5)
Model = TypeVar("Model", bound=TwoTowers)


def images() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def saved(make: Callable[[], Model], folder: Path) -> tuple[Path, Model]:
    """A model with random weights, and the folder that it is saved in."""
    torch.manual_seed(0)
    model = make().eval()
    model.save(folder)
    return folder, model


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VitEncoder]:
    return saved(VitEncoder, tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OpenClipEncoder]:
    return saved(lambda: OpenClipEncoder(RESNET), tmp_path_factory.mktemp("resnet"))


@pytest.fixture(scope="module")
def efficientnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, OpenClipEncoder]:
    return saved(lambda: OpenClipEncoder(EFFICIENTNET), tmp_path_factory.mktemp("efficientnet"))


@pytest.fixture(params=["vit", "resnet", "efficientnet"])
def reward(request: pytest.FixtureRequest) -> Reward:
    folder, _ = request.getfixturevalue(request.param)
    kind = ClipReward if request.param == "vit" else OpenClipReward
    made: Reward = kind(folder, name=request.param, mean=HALF, std=HALF)
    return made


def test_score_is_transformers_own_logit(vit: tuple[Path, VitEncoder]) -> None:
    folder, _ = vit
    reward = ClipReward(folder, name="vit", mean=HALF, std=HALF)
    tokens = reward.tokenizer(PROMPTS, padding="max_length", max_length=16, return_tensors="pt")
    with torch.no_grad():
        out = reward.model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=images() * 2 - 1,
        )
        torch.testing.assert_close(
            reward.score(images(), PROMPTS), out.logits_per_image.diagonal(), rtol=1e-4, atol=1e-4
        )


def test_score_is_open_clips_own_similarity(resnet: tuple[Path, OpenClipEncoder]) -> None:
    folder, _ = resnet
    reward = OpenClipReward(folder, name="resnet", mean=HALF, std=HALF)
    ids = reward.tokenizer(
        PROMPTS, padding="max_length", max_length=16, return_tensors="pt"
    ).input_ids
    enlarged = torch.nn.functional.interpolate(images() * 2 - 1, size=(128, 128), mode="bilinear")
    with torch.no_grad():
        picture, words, scale = reward.model(enlarged, ids)
        torch.testing.assert_close(
            reward.score(images(), PROMPTS), scale * (picture * words).sum(-1), rtol=1e-4, atol=1e-4
        )


def test_a_sample_scores_the_same_alone(reward: Reward) -> None:
    together = reward.score(images(), PROMPTS)
    alone = torch.cat(
        [reward.score(images()[index : index + 1], [PROMPTS[index]]) for index in range(3)]
    )
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_gradient_reaches_the_image_and_nothing_else(reward: Reward) -> None:
    pixels = images().requires_grad_()
    reward.score(pixels, PROMPTS).sum().backward()  # type: ignore[no-untyped-call]
    assert pixels.grad is not None
    assert pixels.grad.abs().amax(dim=(1, 2, 3)).min() > 0


def test_text_is_encoded_once_per_prompt(reward: Reward, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reward.score(images(), PROMPTS)
    monkeypatch.setattr(reward, "tokenizer", None)
    torch.testing.assert_close(
        reward.score(images().flip(0), PROMPTS[::-1]), first.flip(0), rtol=1e-4, atol=1e-4
    )


def test_other_image_sizes_are_resized(vit: tuple[Path, VitEncoder]) -> None:
    reward = ClipReward(vit[0], name="vit", mean=HALF, std=HALF)
    large = torch.nn.functional.interpolate(images(), size=(128, 192), mode="bilinear")
    assert reward.score(large, PROMPTS).shape == (3,)


def test_a_published_clip_may_have_its_weights_in_a_file_of_torch(tmp_path: Path) -> None:
    model = tiny.clip(tmp_path)
    safe = load(device="cpu", dtype="float32", where=str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    own = load(device="cpu", dtype="float32", where=str(tmp_path))
    # A product with a single row depends, in its last digits, on where in memory the weights lie.
    torch.testing.assert_close(
        own.score(images(), PROMPTS), safe.score(images(), PROMPTS), rtol=1e-5, atol=1e-5
    )
    torch.save(
        {**model.state_dict(), "logit_scale": torch.tensor(1.0)}, tmp_path / "pytorch_model.bin"
    )
    assert load(device="cpu", dtype="float32", where=str(tmp_path)).fingerprint != own.fingerprint


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_scale_is_the_checkpoint_s_in_every_type(dtype: torch.dtype, tmp_path: Path) -> None:
    model = tiny.clip(tmp_path)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(100))
    model.save_pretrained(tmp_path)
    made = ClipReward(tmp_path, name="c", mean=HALF, std=HALF, dtype=dtype)
    assert made.scale() == pytest.approx(100, rel=1e-6)
    assert made.model.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_open_clip_s_scale_too(dtype: torch.dtype, resnet: tuple[Path, OpenClipEncoder]) -> None:
    made = OpenClipReward(resnet[0], name="r", mean=HALF, std=HALF, dtype=dtype)
    assert made.scale() == pytest.approx(
        float(load_file(resnet[0] / "open_clip_model.safetensors")["logit_scale"].exp()), rel=1e-6
    )


TOWERS: dict[str, Any] = {
    "embed_dim": 8,
    "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 8, "image_size": 16},
    "text_cfg": {"context_length": 8, "width": 16, "heads": 2, "layers": 1, "vocab_size": 20},
}


def test_an_open_clip_configuration_with_quick_gelu_is_open_clip_s_own_model() -> None:
    torch.manual_seed(0)
    own = CLIP(
        8, CLIPVisionCfg(**TOWERS["vision_cfg"]), CLIPTextCfg(**TOWERS["text_cfg"]), quick_gelu=True
    ).eval()
    pixels = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        found = [build({**TOWERS, "quick_gelu": quick}).eval() for quick in (True, False)]
        for model in found:
            model.load_state_dict(own.state_dict())
        quick, plain = (model.encode_image(pixels) for model in found)
        assert torch.equal(quick, own.encode_image(pixels))
        assert not torch.allclose(plain, quick, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"custom_text": True}, "has custom_text, which is not supported"),
        ({"init_logit_bias": -10}, "has init_logit_bias"),
        ({"multimodal_cfg": {}}, "has multimodal_cfg"),
        ({"vision_cfg": {"layers": 1, "magic": 3}}, "cannot be used: .*magic"),
        ({"text_cfg": None}, "cannot be used"),
    ],
)
def test_what_an_open_clip_configuration_says_is_done_or_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build({**TOWERS, **changes})
    build({**TOWERS, "custom_text": False, "init_logit_bias": None})


def test_float64_pixels_are_normalised_by_float64_statistics() -> None:
    images = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    exact = (images - torch.tensor(OPENAI_MEAN, dtype=torch.float64)[:, None, None]) / torch.tensor(
        OPENAI_STD, dtype=torch.float64
    )[:, None, None]
    assert torch.equal(Pixels(4, OPENAI_MEAN, OPENAI_STD, "cpu")(images), exact)
    assert Pixels(4, OPENAI_MEAN, OPENAI_STD, "cpu")(images.bfloat16()).dtype == torch.float32
