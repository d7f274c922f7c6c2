"""HPSv3 on a small random model of the real class: against numbers of the package's own model,
against transformers' forward pass, and its input against transformers' processor.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Qwen2VLConfig, Qwen2VLImageProcessor, Qwen2VLModel, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from hnbench.errors import UsageError
from hnbench.rewards import hpsv3
from hnbench.rewards.hpsv3 import PIXELS, HPSv3Reward, load
from hnbench.rewards.hpsv3_network import HPSv3Network, renamed
from hnbench.rewards.qwen2_vl_pixels import (
    FlexiblePixels,
    patch_positions,
    patches_of,
    resized_sides,
)
from tests.rewards import tiny
from tests.rewards.hpsv3_text import TEXT
from tests.rewards.samples import PROMPTS, picture

CPU = torch.device("cpu")
SIZES = [(64, 64), (96, 60), (448, 448)]
OF_THE_PACKAGE = [
    [0.27102637291, 0.26004213095, 0.30261555314],
    [0.21867108345, 0.17973890901, 0.21131229401],
    [0.13492369652, 0.11017087102, 0.12617519498],
]
"""The scores of the pictures for the prompts by `Qwen2VLRewardModelBT` of the package hpsv3 1.0.0,
with `fetch_image` of that package and the image processor of transformers 4.45.2, on the weights of
`tiny.hpsv3` and `hpsv3_text.TEXT` in the place of its own text. The model was put in bfloat16, as
the package does, and then in float32.
"""


@pytest.fixture(scope="module", autouse=True)
def own_text() -> Iterator[None]:
    """The text that the model reads is ours."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hpsv3, "read_instruction", lambda: TEXT)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hpsv3")
    tiny.hpsv3(made)
    return made


@pytest.fixture(scope="module")
def reward(folder: Path) -> HPSv3Reward:
    return load(device="cpu", dtype="float32", where=str(folder))


def test_the_scores_are_those_of_the_package(reward: HPSv3Reward) -> None:
    for number, (size, expected) in enumerate(zip(SIZES, OF_THE_PACKAGE, strict=True)):
        found = reward.score_pictures([picture(size, number)] * 3, PROMPTS, CPU)
        assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_the_scores_are_those_of_transformers_with_plain_positions(
    folder: Path, reward: HPSv3Reward
) -> None:
    """Line by line: the chat, the processor, the stock model, and the head on the rated token."""
    processor = Qwen2VLProcessor.from_pretrained(folder)
    processor.tokenizer.add_tokens(["<|Reward|>"], special_tokens=True)
    weights = renamed(load_file(folder / "HPSv3.safetensors"))
    config = Qwen2VLConfig.from_pretrained(folder)
    config.text_config.vocab_size = len(processor.tokenizer)
    model = Qwen2VLModel(config).eval()
    parts = {name.removeprefix("model."): value for name, value in weights.items()}
    model.load_state_dict({name: value for name, value in parts.items() if "head" not in name})
    model.bfloat16().float()  # rounds the frequencies
    shown, prompt = picture((96, 60), 1), PROMPTS[1]
    before, after = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>", "<|im_end|>\n"
    text = before + TEXT.replace("{text_prompt}", prompt) + after
    inputs = processor(
        text=[f"{text}<|im_start|>assistant\n"],
        images=[shown.resize((588, 364), Image.Resampling.BICUBIC)],
        return_tensors="pt",
    )
    length = inputs.input_ids.shape[1]
    with torch.no_grad():
        read = model(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            pixel_values=inputs.pixel_values,
            image_grid_thw=inputs.image_grid_thw,
            position_ids=torch.arange(length).expand(3, 1, -1),
        ).last_hidden_state[0]
    rated = processor.tokenizer.convert_tokens_to_ids("<|Reward|>")
    value = read[inputs.input_ids[0] == rated]
    for number in (0, 3, 5):
        value = value @ parts[f"head.{number}.weight"].T + parts[f"head.{number}.bias"]
        value = value if number == 5 else value.clamp(min=0)
    found = reward.score_pictures([shown], [prompt], CPU)
    assert float(found) == pytest.approx(float(value[0, 0]), abs=1e-4)


def test_the_image_s_angles_are_rounded_as_the_published_model_s_are() -> None:
    """4.45.2: positions and frequencies in bfloat16, their product, and its cosine."""
    config = Qwen2VLConfig(
        text_config={"hidden_size": 16, "num_hidden_layers": 0, "vocab_size": 8},
        vision_config={"depth": 0, "embed_dim": 1280, "num_heads": 16, "hidden_size": 16},
    )
    _, (cosines, sines) = HPSv3Network(config)._places(32, 32, CPU)
    frequencies = (1.0 / (10000.0 ** (torch.arange(0, 40, 2, dtype=torch.float) / 40))).bfloat16()
    table = torch.outer(torch.arange(32, dtype=torch.bfloat16), frequencies)
    row, column = patch_positions(32, 32, 2)[700]
    angles = torch.cat([table[row], table[column]]).repeat(2)
    assert cosines.shape == (1024, 80)
    assert torch.equal(cosines[700], angles.cos().float())
    assert torch.equal(sines[700], angles.sin().float())


@pytest.mark.parametrize("size", [(512, 512), (448, 448), (60, 96), (1024, 768), (30, 900), (5, 5)])
def test_the_size_is_that_of_the_processor(size: tuple[int, int]) -> None:
    expected = smart_resize(*size, factor=28, min_pixels=PIXELS, max_pixels=PIXELS)
    assert resized_sides(*size, 28, PIXELS) == tuple(expected)


def test_an_image_that_is_too_narrow_is_refused() -> None:
    assert resized_sides(1, 200, 28, PIXELS) == (56, 6356)
    with pytest.raises(UsageError, match="201 x 1 pixels is too narrow"):
        resized_sides(1, 201, 28, PIXELS)


def test_the_patches_are_the_processor_s() -> None:
    shown = picture((896, 224), 0)
    expected = Qwen2VLImageProcessor()(images=[shown], return_tensors="pt")
    pixels = FlexiblePixels(28, PIXELS, "cpu").of_picture(shown)
    assert pixels.shape == (3, 224, 896)
    assert expected.image_grid_thw.tolist() == [[1, 16, 64]]
    torch.testing.assert_close(
        patches_of(pixels, 14, 2, 2), expected.pixel_values, rtol=1e-5, atol=1e-5
    )


def test_a_prompt_is_read_once(reward: HPSv3Reward, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reward.score_pictures([picture((64, 64), 0)], PROMPTS[:1], CPU)
    monkeypatch.setattr(reward, "processor", None)
    assert torch.equal(reward.score_pictures([picture((64, 64), 0)], PROMPTS[:1], CPU), first)


@pytest.mark.parametrize("mark", ["<|image_pad|>", "<|Reward|>"])
def test_a_prompt_with_a_special_token_is_refused(reward: HPSv3Reward, mark: str) -> None:
    with pytest.raises(UsageError, match=r"the prompt 'a <.*' has '<.*', which is a special token"):
        reward.score_pictures([picture((64, 64), 0)], [f"a {mark}"], CPU)


def test_a_prompt_s_braces_are_text(reward: HPSv3Reward) -> None:
    ids, _, _ = reward._read("a {text_prompt} {0}")
    assert "Seen from the hill: a {text_prompt} {0}\n" in reward.processor.tokenizer.decode(ids)


def test_half_precision_rounds_the_model_and_not_the_head(folder: Path) -> None:
    half = load(device="cpu", dtype="bfloat16", where=str(folder))
    weights = load_file(folder / "HPSv3.safetensors")
    assert half.network.model.language_model.norm.weight.dtype == torch.bfloat16
    assert torch.equal(half.network.state_dict()["head.0.weight"], weights["rm_head.0.weight"])


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A folder to be spoilt."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def saved(folder: Path, change: Any) -> None:
    weights = load_file(folder / "HPSv3.safetensors")
    change(weights)
    save_file(weights, folder / "HPSv3.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("rm_head.3.bias"), r"1 missing \(head.3.bias\)"),
        (lambda weights: weights.update(other=torch.zeros(1)), r"1 unexpected \(other\)"),
        (lambda weights: weights.pop("model.embed_tokens.weight"), "the checkpoint of HPSv3"),
        (
            lambda weights: weights.update(
                {"model.embed_tokens.weight": torch.zeros(9, 16, dtype=torch.bfloat16)}
            ),
            "has 336 tokens and .* 9; it must be that of Qwen2-VL-7B-Instruct",
        ),
    ],
)
def test_another_checkpoint_is_refused(copied: Path, change: Any, said: str) -> None:
    saved(copied, change)
    with pytest.raises(UsageError, match=said):
        load(device="cpu", dtype="float32", where=str(copied))


def test_a_damaged_checkpoint_is_refused(copied: Path) -> None:
    (copied / "HPSv3.safetensors").write_bytes(b"no weights")
    with pytest.raises(UsageError, match="cannot be read as safetensors"):
        load(device="cpu", dtype="float32", where=str(copied))


def test_the_text_is_part_of_the_fingerprint(
    folder: Path, reward: HPSv3Reward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hpsv3, "read_instruction", lambda: "rate {text_prompt} <|Reward|>")
    other = load(device="cpu", dtype="float32", where=str(folder))
    assert other.fingerprint != reward.fingerprint
