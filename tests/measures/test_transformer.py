"""Features of small random models of the real classes, saved as the published ones are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import transforms
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model

from hnbench.catalogue import registry
from hnbench.errors import UsageError
from hnbench.measures import published
from hnbench.measures.transformer import clip_336, dinov2_base, dinov2_large, positions
from hnbench.weights import hub
from hnbench.weights.hub import Source
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD
from tests.measures.pictures import pictures
from tests.rewards.tiny import TOWER, lively

IMAGENET = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def dinov2(folder: Path, **options: int) -> Dinov2Model:
    sizes = {name: value for name, value in TOWER.items() if name != "intermediate_size"}
    config = Dinov2Config(**{**sizes, "mlp_ratio": 2, "image_size": 56, **options})
    model = lively(Dinov2Model(config))
    model.save_pretrained(folder)
    return model


def clip(folder: Path) -> CLIPModel:
    """With a text tower, as the published folders have it, and the weights in a file of
    `torch.save`.
    """
    text = {**TOWER, "vocab_size": 9, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = {**TOWER, "image_size": 48, "patch_size": 8, "projection_dim": 12}
    model = lively(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)))
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    position_ids = {"vision_model.embeddings.position_ids": torch.arange(37)[None]}
    torch.save({**model.state_dict(), **position_ids}, folder / "pytorch_model.bin")
    return model


@torch.no_grad()
def test_dinov2_s_feature_is_the_class_token_of_the_whole_picture_at_224(tmp_path: Path) -> None:
    model = dinov2(tmp_path)
    shown = [*pictures(2, (300, 200)), *pictures(1, (224, 224), seed=1)]
    pixels = torch.stack(
        [
            IMAGENET(transforms.ToTensor()(picture.resize((224, 224), Image.Resampling.BICUBIC)))
            for picture in shown
        ]
    )
    model.embeddings.position_embeddings = torch.nn.Parameter(
        positions(model.embeddings.position_embeddings, 16)
    )
    expected = model(pixels).pooler_output
    assert float((expected[0] - expected[1]).norm()) > 0.1
    for load in (dinov2_base, dinov2_large):
        torch.testing.assert_close(
            load("cpu", str(tmp_path)).of(shown), expected, rtol=1e-4, atol=1e-5
        )


def smooth_table(length: int) -> torch.Tensor:
    """Four smooth functions of the place, for a class token and `length` x `length` patches."""
    down, across = torch.meshgrid(*[torch.linspace(0, 1, length)] * 2, indexing="ij")
    values = torch.stack(
        [(3 * down).sin(), (5 * across).cos(), down * across, (4 * (down - across)).sin()], -1
    )
    return torch.cat([torch.full((1, 4), 7.0), values.flatten(0, 1)])[None]


def cubic(distance: float) -> float:
    """Keys' kernel with a = -0.75."""
    x = abs(distance)
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def read_with_step(table: torch.Tensor, length: int, side: int, step: float) -> torch.Tensor:
    """Each position of the new grid as the kernel's sum over the old grid, whose border is
    repeated.
    """
    weights = torch.zeros(side, length)
    for new in range(side):
        centre = (new + 0.5) * step - 0.5
        for old in range(math.floor(centre) - 1, math.floor(centre) + 3):
            weights[new, min(max(old, 0), length - 1)] += cubic(centre - old)
    grid = table[0, 1:].reshape(length, length, -1)
    return torch.einsum("ai,bj,ijd->abd", weights, weights, grid).flatten(0, 1)


@pytest.mark.parametrize(("length", "side"), [(37, 16), (37, 14), (16, 16), (3, 14)])
def test_positions_are_read_with_the_step_of_torch_hub_s_dinov2(length: int, side: int) -> None:
    table = smooth_table(length)
    placed = positions(table, side)
    assert placed.shape == (1, 1 + side * side, 4)
    assert torch.equal(placed[:, 0], table[:, 0])
    step = 1.0 if length == side else length / (side + 0.1)
    torch.testing.assert_close(
        placed[0, 1:], read_with_step(table, length, side, step), rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_positions_of_dinov2_differ_from_those_of_transformers(tmp_path: Path) -> None:
    """In transformers the step is 37/16; a model with that would not have dgm-eval's features."""
    model = dinov2(tmp_path, patch_size=14, image_size=518, hidden_size=4)
    model.embeddings.position_embeddings = torch.nn.Parameter(smooth_table(37))
    model.save_pretrained(tmp_path)
    own = model.embeddings.interpolate_pos_encoding(torch.zeros(1, 257, 4), 224, 224)
    used = dinov2_base("cpu", str(tmp_path))._model.embeddings.interpolate_pos_encoding(
        torch.zeros(1, 257, 4), 224, 224
    )
    torch.testing.assert_close(
        own[0, 1:], read_with_step(smooth_table(37), 37, 16, 37 / 16), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        used[0, 1:], read_with_step(smooth_table(37), 37, 16, 37 / 16.1), rtol=1e-4, atol=1e-5
    )
    assert float((own - used).norm() / used[:, 1:].norm()) > 0.005


@torch.no_grad()
def test_clip_s_feature_is_the_unit_embedding_of_the_centre(tmp_path: Path) -> None:
    model = clip(tmp_path)
    shown = pictures(3, (96, 64))
    prepare = transforms.Compose(
        [
            transforms.Resize(48, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(48),
            transforms.ToTensor(),
            transforms.Normalize(OPENAI_MEAN, OPENAI_STD),
        ]
    )
    embeddings = model.visual_projection(
        model.vision_model(torch.stack([prepare(picture) for picture in shown])).pooler_output
    )
    found = clip_336("cpu", str(tmp_path)).of(shown)
    torch.testing.assert_close(
        found, torch.nn.functional.normalize(embeddings, dim=-1), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))


def test_weights_and_way_are_in_the_fingerprint(tmp_path: Path) -> None:
    dinov2(tmp_path / "a")
    first = dinov2_base("cpu", str(tmp_path / "a")).fingerprint
    assert dinov2_base("cpu", str(tmp_path / "a")).fingerprint == first
    changed = Dinov2Model.from_pretrained(tmp_path / "a")
    with torch.no_grad():
        changed.layernorm.bias += 1
    changed.save_pretrained(tmp_path / "b")
    assert dinov2_base("cpu", str(tmp_path / "b")).fingerprint != first


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    dinov2(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps({**config, "num_hidden_layers": 3, "patch_size": 7})
    )
    with pytest.raises(
        UsageError, match=r"another architecture; keys: [0-9]+ missing .*; 2 of another shape"
    ):
        dinov2_base("cpu", str(tmp_path))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    dinov2(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"has no model.safetensors or pytorch_model.bin"):
        dinov2_base("cpu", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("dino-similarity", "facebook/dinov2-base"),
        ("dino-vendi", "facebook/dinov2-base"),
        ("cmmd", "openai/clip-vit-large-patch14-336"),
        ("fd-dinov2", "facebook/dinov2-large"),
    ],
)
def test_the_published_models_come_from_the_hub(
    name: str, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    (clip if name == "cmmd" else dinov2)(folder)
    asked: list[Source] = []
    monkeypatch.setattr(hub, "download", lambda source: asked.append(source) or folder)  # type: ignore[func-returns-value]
    measure = registry.MEASURES.get(name)("cpu")
    assert [source.repo for source in asked] == [repo]
    assert (measure.name, measure.source) == (name, f"{repo}@0123abc")
    assert measure.about.endswith(f" of {repo}")


def test_another_model_is_part_of_the_name(tmp_path: Path) -> None:
    dinov2(tmp_path)
    measure = registry.MEASURES.get(f"dino-vendi@{tmp_path}")("cpu")
    assert measure.name == f"dino-vendi@{tmp_path}"
    assert measure.fingerprint == published.dino_vendi("cpu", str(tmp_path)).fingerprint
