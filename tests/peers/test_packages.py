"""The rewards against the published packages, on the same weights: `nox -s peers`.

Two environments, because the packages need an older transformers: packages.py runs in theirs and
leaves scores and gradients in a folder. The weights are random, made by the package and loaded from
that folder here; and the published ones, for each reward whose files are in the Hub's cache
(`hnbench fetch --optimise NAME` puts them there).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from open_clip import SimpleTokenizer
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from hnbench.errors import UsageError
from hnbench.rewards import aesthetic, clip, hpsv2, imagereward
from hnbench.rewards.sources import AESTHETIC, HPSV2_1, IMAGEREWARD, PICKSCORE
from hnbench.weights.hub import Source, find
from tests.rewards.samples import PROMPTS, bert_vocabulary, images, picture

pytestmark = pytest.mark.peers

SIZES = ((320, 200), (224, 224), (97, 161))
"""Width and height; the score's preprocessing differs from ReNO's where they differ."""

MED_CONFIG = {
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 30524,
    "add_cross_attention": True,
}
"""BLIP's text encoder, as ImageReward configures it."""


def prepare_imagereward(folder: Path) -> None:
    (folder / "med_config.json").write_text(json.dumps(MED_CONFIG))
    (folder / "bert-base-uncased").mkdir()
    for place in (folder, folder / "bert-base-uncased"):
        bert_vocabulary(place, 30522)


def prepare_clip(folder: Path) -> None:
    """A small CLIPModel with the real tokenizer, input and feature size."""
    tower = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    vision = {**tower, "image_size": 224, "patch_size": 32}
    text = {**tower, "vocab_size": 49408, "eos_token_id": 49407, "bos_token_id": 49406}
    torch.manual_seed(0)
    CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    ).save_pretrained(folder)
    tokenizer = SimpleTokenizer()
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    (folder / "vocab.json").write_text(
        json.dumps(
            {renamed.get(token, token): number for token, number in tokenizer.encoder.items()}
        )
    )
    merges = ["#version: 0.2", *(" ".join(pair) for pair in tokenizer.bpe_ranks)]
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": 224, "crop_size": 224, "resample": 3})
    )


def nothing(_: Path) -> None:
    pass


def lay_out_published(published: tuple[Source, ...], folder: Path) -> None:
    """The published files of a reward in one folder, as the packages take them. Skips the test
    where they are not in the cache.
    """
    try:
        folders = find(published).folders
    except UsageError as error:
        pytest.skip(str(error))
    for found in folders:  # what is weighed comes first, and its files win
        for file in found.iterdir():
            if file.is_file() and not (folder / file.name).exists():
                (folder / file.name).symlink_to(file.resolve())
    (folder / "med_config.json").write_text(json.dumps(MED_CONFIG))
    (folder / "bert-base-uncased").symlink_to(folders[-1], target_is_directory=True)


REWARDS = {
    "pickscore": (PICKSCORE, prepare_clip, clip.load_pickscore),
    "aesthetic": (AESTHETIC, prepare_clip, aesthetic.load),
    "imagereward": (IMAGEREWARD, prepare_imagereward, imagereward.load),
    "hpsv2": (HPSV2_1, nothing, hpsv2.load_v21),
}


@pytest.mark.parametrize("weights", ["random", "published"])
@pytest.mark.parametrize("name", REWARDS)
def test_scores_and_gradients_are_the_packages(
    name: str, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published, prepare, load = REWARDS[name]
    pictures = [picture(size, seed) for seed, size in enumerate(SIZES)]
    for number, made in enumerate(pictures):
        made.save(tmp_path / f"picture{number}.png")
    (tmp_path / "prompts.json").write_text(json.dumps(PROMPTS))
    save_file({"images": images(2, (256, 288))}, tmp_path / "images.safetensors")
    if weights == "published":
        lay_out_published(published, tmp_path)
    else:
        prepare(tmp_path)

    script = Path(__file__).with_name("packages.py")
    done = subprocess.run(
        [os.environ["PEERS_PYTHON"], script, name, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = load_file(tmp_path / "expected.safetensors")

    reward = load(
        device="cpu", dtype="float32", where="" if weights == "published" else str(tmp_path)
    )
    with torch.no_grad():
        rows = [
            reward.score_pictures([made] * len(PROMPTS), PROMPTS, torch.device("cpu"))
            for made in pictures
        ]
    given = images(2, (256, 288)).requires_grad_()
    scores = reward.score(given, PROMPTS[:2])
    (gradient,) = torch.autograd.grad(scores.sum(), given)

    spread = float(expected["scores"].std())
    figures = {
        "pictures": difference(torch.stack(rows), expected["scores"]),
        "tensors": difference(scores, expected["tensor_scores"]),
        "gradient": float((gradient - expected["gradient"]).norm() / expected["gradient"].norm()),
    }
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{name}, {weights} weights: largest difference of scores {figures['pictures']:.1e}"
            f" (pictures), {figures['tensors']:.1e} (tensors); relative difference of gradients"
            f" {figures['gradient']:.1e}; standard deviation of scores {spread:.2g}"
        )
    assert figures["pictures"] < 1e-4
    assert figures["tensors"] < 1e-4
    assert figures["gradient"] < 1e-3
    assert spread > 10 * 1e-4, "scores that are all the same prove nothing"


def difference(one: Tensor, other: Tensor) -> float:
    return float((one.detach() - other).abs().max())
