"""The two dual-encoder rewards against the libraries' own similarity, on random weights of the real classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hnbench.rewards.base import Reward
from hnbench.rewards.clip import ClipReward, load
from hnbench.rewards.open_clip import OpenClipReward
from hnbench.shapes.training.contrastive import ResnetEncoder, VitEncoder
from tests.rewards import tiny

PROMPTS = ["a photo of a red circle", "a photo of two stars", "a photo of a heart above a ring"]
HALF = (0.5, 0.5, 0.5)


def images() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VitEncoder]:
    torch.manual_seed(0)
    model = VitEncoder().eval()
    folder = tmp_path_factory.mktemp("vit")
    model.save(folder)
    return folder, model


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ResnetEncoder]:
    torch.manual_seed(0)
    model = ResnetEncoder().eval()
    folder = tmp_path_factory.mktemp("resnet")
    model.save(folder)
    return folder, model


@pytest.fixture(params=["vit", "resnet"])
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
        out = reward.model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, pixel_values=images() * 2 - 1)
        torch.testing.assert_close(reward.score(images(), PROMPTS), out.logits_per_image.diagonal(), rtol=1e-4, atol=1e-4)


def test_score_is_open_clips_own_similarity(resnet: tuple[Path, ResnetEncoder]) -> None:
    folder, _ = resnet
    reward = OpenClipReward(folder, name="resnet", mean=HALF, std=HALF)
    ids = reward.tokenizer(PROMPTS, padding="max_length", max_length=16, return_tensors="pt").input_ids
    enlarged = torch.nn.functional.interpolate(images() * 2 - 1, size=(128, 128), mode="bilinear")
    with torch.no_grad():
        picture, words, scale = reward.model(enlarged, ids)
        torch.testing.assert_close(reward.score(images(), PROMPTS), scale * (picture * words).sum(-1), rtol=1e-4, atol=1e-4)


def test_a_sample_scores_the_same_alone(reward: Reward) -> None:
    together = reward.score(images(), PROMPTS)
    alone = torch.cat([reward.score(images()[index : index + 1], [PROMPTS[index]]) for index in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_gradient_reaches_the_image_and_nothing_else(reward: Reward) -> None:
    pixels = images().requires_grad_()
    reward.score(pixels, PROMPTS).sum().backward()  # type: ignore[no-untyped-call]
    assert pixels.grad is not None
    assert pixels.grad.abs().amax(dim=(1, 2, 3)).min() > 0


def test_text_is_encoded_once_per_prompt(reward: Reward, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reward.score(images(), PROMPTS)
    monkeypatch.setattr(reward, "tokenizer", None)
    torch.testing.assert_close(reward.score(images().flip(0), PROMPTS[::-1]), first.flip(0), rtol=1e-4, atol=1e-4)


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
    assert torch.equal(own.score(images(), PROMPTS), safe.score(images(), PROMPTS))
    torch.save({**model.state_dict(), "logit_scale": torch.tensor(1.0)}, tmp_path / "pytorch_model.bin")
    assert load(device="cpu", dtype="float32", where=str(tmp_path)).fingerprint != own.fingerprint
