"""The published rewards on small random models of the real classes: formulas, the two paths,
gradients, waiting, bad files.

That the real architectures score as the published packages do is shown by `nox -s peers`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Normalize,
    Resize,
    ToTensor,
)

from hnbench.errors import UsageError
from hnbench.rewards import aesthetic, hpsv2, hpsv3, imagereward
from hnbench.rewards import clip as clip_reward
from hnbench.rewards.aesthetic import AestheticReward
from hnbench.rewards.base import Mixture, Reward
from hnbench.rewards.hpsv2 import Hpsv2Reward
from hnbench.rewards.imagereward import ImageReward
from hnbench.weights.checkpoint import read_weights
from hnbench.weights.pictures import letterboxed
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD
from tests.rewards import tiny
from tests.rewards.hpsv3_text import TEXT
from tests.rewards.samples import PROMPTS, images, picture

CPU = torch.device("cpu")
NAMES = ["clip", "pickscore", "hpsv2", "imagereward", "aesthetic"]
"""Those with an input of one size; `test_hpsv3` has the formula of the other one."""
LARGE = (96, 96)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder per reward, and the models that its files were saved from."""
    folder = tmp_path_factory.mktemp("rewards")
    made = {
        "clip": tiny.clip(folder / "clip"),
        "pickscore": tiny.clip(folder / "pickscore"),
        "aesthetic": tiny.clip(folder / "aesthetic"),
    }
    made["head"] = tiny.head(folder / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth", 16)
    made["imagereward"] = tiny.imagereward(folder / "imagereward")
    (folder / "hpsv2").mkdir()
    made["hpsv3"] = tiny.hpsv3(folder / "hpsv3")
    made["hpsv2"] = tiny.hpsv2(folder / "hpsv2" / "HPS_v2.1_compressed.pt")
    return folder, made


def load(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str = "float32") -> Any:
    """The reward from a local folder, by the function that the registry calls, with the small
    architecture for the large one.
    """
    monkeypatch.setattr(imagereward, "published_vision", lambda: tiny.VISION)
    monkeypatch.setattr(imagereward, "published_text", lambda: tiny.TEXT)
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: tiny.OPEN_CLIP)
    monkeypatch.setattr(hpsv3, "read_instruction", lambda: TEXT)
    loaders: dict[str, Callable[..., Reward]] = {
        "clip": clip_reward.load,
        "pickscore": clip_reward.load_pickscore,
        "hpsv2": hpsv2.load_v21,
        "imagereward": imagereward.load,
        "aesthetic": aesthetic.load,
        "hpsv3": hpsv3.load,
    }
    return loaders[name](device="cpu", dtype=dtype, where=str(folder))


@pytest.fixture(params=[*NAMES, "hpsv3"])
def reward(
    request: pytest.FixtureRequest,
    models: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Reward:
    made: Reward = load(request.param, models[0] / request.param, monkeypatch)
    return made


def pixels(given: Tensor) -> Tensor:
    resize = Resize(tiny.SIZE, interpolation=InterpolationMode.BICUBIC)
    made: Tensor = Compose([resize, CenterCrop(tiny.SIZE), Normalize(OPENAI_MEAN, OPENAI_STD)])(
        given
    )
    return made


def formula(name: str, models: dict[str, Any], reward: Any, given: Tensor) -> Tensor:
    """The published formula, written out with the model that the files were saved from; `given` is
    normalised.
    """
    if name in ("clip", "pickscore"):
        tokens = reward.tokenizer(
            PROMPTS, padding=True, truncation=True, max_length=20, return_tensors="pt"
        )
        out = models[name](
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, pixel_values=given
        )
        logits: Tensor = out.logits_per_image.diagonal()
        return logits
    if name == "hpsv2":
        image, text, _ = models[name](given, reward.tokenizer(PROMPTS))
        cosine: Tensor = functional.cosine_similarity(image, text)
        return cosine
    if name == "imagereward":
        tokens = reward.tokenizer(
            PROMPTS, padding="max_length", truncation=True, max_length=35, return_tensors="pt"
        )
        seen = models[name].vision(given).last_hidden_state
        read = models[name].text(
            tokens.input_ids,
            attention_mask=tokens.attention_mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
            is_decoder=False,
        )
        raw: Tensor = models[name].head(read.last_hidden_state[:, 0])[:, 0]
        return (raw - 0.16717362830052426) / 1.0333394966054072
    features = models["aesthetic"].get_image_features(pixel_values=given).pooler_output
    scores: Tensor = models["head"](functional.normalize(features, dim=-1))[:, 0]
    return scores


@pytest.mark.parametrize("name", NAMES)
def test_the_tensor_path_is_the_formula(
    name: str, models: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = load(name, models[0] / name, monkeypatch)
    given = images(3, (48, 80))
    with torch.no_grad():
        found, expected = (
            reward.score(given, PROMPTS),
            formula(name, models[1], reward, pixels(given)),
        )
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_path_is_the_published_preprocessing(
    name: str, models: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = load(name, models[0] / name, monkeypatch)
    pictures = [picture((80, 48), seed) for seed in range(3)]
    cropped = Compose(
        [
            Resize(tiny.SIZE, InterpolationMode.BICUBIC),
            CenterCrop(tiny.SIZE),
            ToTensor(),
            Normalize(OPENAI_MEAN, OPENAI_STD),
        ]
    )
    prepare = (lambda made: letterboxed(made, tiny.SIZE)) if name == "hpsv2" else cropped
    with torch.no_grad():
        found = reward.score_pictures(pictures, PROMPTS, CPU)
        expected = formula(
            name, models[1], reward, torch.stack([prepare(made) for made in pictures])
        )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_two_paths_differ_little_on_a_square_picture(reward: Reward) -> None:
    pictures = [picture(LARGE, seed) for seed in range(8)]
    tensors = torch.stack([ToTensor()(made) for made in pictures])
    with torch.no_grad():
        reported, optimised = (
            reward.score_pictures(pictures, PROMPTS[:1] * 8, CPU),
            reward.score(tensors, PROMPTS[:1] * 8),
        )
    assert (reported - optimised).abs().max() < 0.1 * reported.std()


@pytest.mark.parametrize("antialias", [True, False])
def test_hpsv2_s_resize_with_and_without_antialiasing(antialias: bool) -> None:
    made = letterboxed(picture((90, 60), 0), 24, antialias=antialias)
    values = ToTensor()(picture((90, 60), 0))[None]
    resized = functional.interpolate(values, size=(16, 24), mode="bicubic", antialias=antialias)[0]
    expected = Normalize(OPENAI_MEAN, OPENAI_STD)(functional.pad(resized, (0, 0, 4, 4)))
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)
    other = letterboxed(picture((90, 60), 0), 24, antialias=not antialias)
    assert float((made - other).abs().max()) > 0.05
    torch.testing.assert_close(
        letterboxed(picture((90, 60), 0), 24), made if antialias else other
    )  # antialiased by default


def test_letterboxing_keeps_all_of_the_picture() -> None:
    made = (
        letterboxed(Image.new("RGB", (60, 30), "white"), 20)
        * torch.tensor(OPENAI_STD)[:, None, None]
    )
    made = made + torch.tensor(OPENAI_MEAN)[:, None, None]
    expected = torch.zeros(3, 20, 20)
    expected[:, 5:15] = 1
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_a_sample_scores_the_same_alone(reward: Reward) -> None:
    together = reward.score(images(3), PROMPTS)
    alone = torch.cat([reward.score(images(3)[row : row + 1], [PROMPTS[row]]) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences(reward: Reward) -> None:
    given, direction = (
        images(1, (48, 48)),
        torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(1)),
    )
    given.requires_grad_()
    (gradient,) = torch.autograd.grad(reward.score(given, PROMPTS[1:2]).sum(), given)
    with torch.no_grad():
        up, down = (reward.score(given + sign * 1e-2 * direction, PROMPTS[1:2]) for sign in (1, -1))
    along = (gradient * direction).sum()
    torch.testing.assert_close((up - down)[0] / 2e-2, along, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("name", [*NAMES, "hpsv3"])
def test_half_precision_stays_near(
    name: str, models: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    full, half = (
        load(name, models[0] / name, monkeypatch, dtype) for dtype in ("float32", "bfloat16")
    )
    with torch.no_grad():
        expected, found = full.score(images(3), PROMPTS), half.score(images(3).bfloat16(), PROMPTS)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.1 * expected.abs().max() + 0.05


class Waiting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what makes the host wait for the device, or copies to it."""

    refused = (
        "_local_scalar_dense",
        "nonzero",
        "lift_fresh",
        "masked_select",
        "equal.default",
        "is_nonzero",
    )

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in self.refused), f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


def waiting() -> Waiting:
    return Waiting()  # type: ignore[no-untyped-call]


def test_what_waits_would_be_seen() -> None:
    with waiting(), pytest.raises(AssertionError, match="waits"):
        bool(torch.ones(2).sum() > 1)
    with waiting(), pytest.raises(AssertionError, match="waits"):
        torch.tensor([1.0])


@pytest.mark.parametrize("side", [tiny.SIZE, 48])
def test_scoring_never_waits_for_the_device(reward: Reward, side: int) -> None:
    given = images(3, (side, side)).requires_grad_()
    reward.score(given, PROMPTS)  # reads the text
    with waiting():
        scores = Mixture({"it": (reward, 2.0)}).score(given, PROMPTS)
        torch.autograd.grad(scores.sum(), given)


def test_a_mixture_resizes_once(
    models: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.transforms.v2 import functional as transforms

    rewards = {name: load(name, models[0] / name, monkeypatch) for name in NAMES}
    given = images(3, (48, 48)).requires_grad_()
    alone = torch.stack([reward.score(given, PROMPTS) for reward in rewards.values()]).sum(0)
    (expected,) = torch.autograd.grad(alone.sum(), given)
    resize = Mock(wraps=transforms.resize)
    monkeypatch.setattr(transforms, "resize", resize)
    mixture = Mixture({name: (reward, 1.0) for name, reward in rewards.items()})
    for count in (1, 2):
        total = mixture.score(given, PROMPTS)
        assert resize.call_count == count
        (gradient,) = torch.autograd.grad(total.sum(), given)
        torch.testing.assert_close(total, alone)
        torch.testing.assert_close(gradient, expected)
    with torch.no_grad():
        assert not torch.equal(mixture.score(given.flip(0), PROMPTS), total)


def test_a_fingerprint_is_by_content(
    models: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = {
        load(name, models[0] / name, monkeypatch).fingerprint
        for name in ("clip", "hpsv2", "hpsv3", "imagereward", "aesthetic")
    }
    assert len(prints) == 5
    copy = tmp_path / "copy"
    shutil.copytree(models[0] / "clip", copy)
    (copy / "open_clip_config.json").write_text("{}")
    same = load("clip", copy, monkeypatch)
    assert same.fingerprint == load("clip", models[0] / "clip", monkeypatch).fingerprint
    assert (same.name, same.source) == (f"clip@{copy}", str(copy))
    (copy / "preprocessor_config.json").write_text(
        (copy / "preprocessor_config.json").read_text().replace("0.48", "0.5")
    )
    assert load("clip", copy, monkeypatch).fingerprint != same.fingerprint


FILES = {
    "clip": "model.safetensors",
    "pickscore": "preprocessor_config.json",
    "hpsv2": "HPS_v2.1_compressed.pt",
    "imagereward": "ImageReward.pt",
    "aesthetic": "sac+logos+ava1-l14-linearMSE.pth",
    "hpsv3": "HPSv3.safetensors",
}


@pytest.mark.parametrize("name", [*NAMES, "hpsv3"])
def test_an_empty_folder_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in ("clip", "aesthetic"):
        tiny.clip(tmp_path)
        (tmp_path / "model.safetensors").unlink()
        tiny.head(tmp_path / FILES["aesthetic"], 16).eval()
    missing = "model.safetensors" if name == "aesthetic" else FILES[name]
    with pytest.raises(
        UsageError, match=f"{tmp_path} has no .*{missing}.*hnbench fetch".replace("+", ".")
    ):
        load(name, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["hpsv2", "imagereward", "aesthetic"])
def test_a_checkpoint_of_another_architecture_names_its_keys(
    name: str, models: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (models[0] / name).iterdir():
        (tmp_path / path.name).symlink_to(path)
    weights: Any = torch.load(tmp_path / FILES[name], weights_only=True)
    inner = weights["state_dict"] if name == "hpsv2" else weights
    first, second = [key for key in inner if key.endswith(".weight") and "_proj.weight" not in key][
        :2
    ]
    inner["stranger.weight"] = inner.pop(first)
    inner[second] = torch.zeros(7)
    (tmp_path / FILES[name]).unlink()
    torch.save(weights, tmp_path / FILES[name])
    with pytest.raises(
        UsageError,
        match=r"1 missing \(.*\); 1 unexpected \(stranger.weight\); 1 of another shape \(",
    ):
        load(name, tmp_path, monkeypatch)


def test_a_clip_model_of_another_shape_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.clip(tmp_path / "other", num_hidden_layers=1)
    tiny.clip(tmp_path / "one")
    (tmp_path / "one" / "model.safetensors").write_bytes(
        (tmp_path / "other" / "model.safetensors").read_bytes()
    )
    with pytest.raises(UsageError, match=r"16 missing \(vision_model.encoder.layers.1"):
        load("clip", tmp_path / "one", monkeypatch)


def test_a_wrong_vocabulary_is_refused(
    models: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ImageReward.pt").symlink_to(models[0] / "imagereward" / "ImageReward.pt")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    with pytest.raises(UsageError, match="has 8 tokens and ImageReward 82"):
        load("imagereward", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "cannot be read"), (b"<html>", "cannot be read")]
)
def test_a_damaged_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_weights(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": torch.nn.Linear(2, 2)}, path)
    with pytest.raises(UsageError, match="weights alone"):
        read_weights(path)


@pytest.mark.parametrize("content", [[1], {"weights": {}}])
def test_a_file_of_something_else_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "HPS_v2.1_compressed.pt"
    torch.save(content, path)
    with pytest.raises(UsageError, match="no 'state_dict'"):
        Hpsv2Reward(path, name="x", config=tiny.OPEN_CLIP)
    torch.save([1], path)
    with pytest.raises(UsageError, match="must be a checkpoint of ImageReward"):
        ImageReward(path, tmp_path, name="x", vision=tiny.VISION, text=tiny.TEXT)
    tiny.clip(tmp_path)
    with pytest.raises(UsageError, match="must be the head"):
        AestheticReward(path, tmp_path, name="x")
