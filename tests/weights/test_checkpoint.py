"""Models of transformers from folders: every file format, every way in which a checkpoint does not
fit, and nothing unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, CLIPModel, CLIPVisionModelWithProjection

from hnbench.errors import UsageError
from hnbench.weights.checkpoint import load_pretrained
from hnbench.weights.fingerprint import fingerprint_of
from tests.rewards import tiny

HEAD = "visual_projection.weight"
Weights = dict[str, Tensor]


def whole(folder: Path, weights: Weights) -> None:
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def shards(folder: Path, weights: Weights) -> None:
    _sharded(
        folder,
        weights,
        "model-0000{}-of-00002.safetensors",
        "model.safetensors.index.json",
        save_file,
    )


def pickled(folder: Path, weights: Weights) -> None:
    torch.save(weights, folder / "pytorch_model.bin")


def pickled_shards(folder: Path, weights: Weights) -> None:
    _sharded(
        folder,
        weights,
        "pytorch_model-0000{}-of-00002.bin",
        "pytorch_model.bin.index.json",
        torch.save,
    )


def _sharded(
    folder: Path, weights: Weights, name: str, index: str, save: Callable[[Any, Path], object]
) -> None:
    files = {key: name.format(1 + number % 2) for number, key in enumerate(weights)}
    for file in set(files.values()):
        save({key: weights[key] for key in weights if files[key] == file}, folder / file)
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": files}))


FORMATS = [whole, shards, pickled, pickled_shards]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Weights]:
    """The folder of a CLIPModel without its weights, and these."""
    tiny.clip(tmp_path, projection_dim=16)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    return tmp_path, weights


@pytest.mark.parametrize("save", FORMATS)
@pytest.mark.parametrize("kind", [CLIPModel, AutoModel])
def test_every_format_gives_the_weights_that_were_saved(
    kind: Any, save: Any, saved: tuple[Path, Weights]
) -> None:
    folder, weights = saved
    save(folder, weights)
    model = load_pretrained(kind, folder, dtype=torch.float32)
    state = model.state_dict()
    assert state.keys() >= weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("save", FORMATS)
def test_a_missing_a_reshaped_and_an_unknown_key_are_refused_and_counted(
    save: Any, saved: tuple[Path, Weights]
) -> None:
    folder, weights = saved
    wrong = {
        **weights,
        "logit_scale_2": torch.zeros(1),
        "text_projection.weight": torch.zeros(3, 16),
    }
    del wrong[HEAD]
    save(folder, wrong)
    keys = (
        r"1 missing \(visual_projection.weight\); 1 unexpected \(logit_scale_2\); 1 of another"
        r" shape \(text_projection.weight\)"
    )
    with pytest.raises(
        UsageError, match=rf"{folder}/\S+ is a checkpoint of another architecture; keys: {keys}"
    ):
        load_pretrained(CLIPModel, folder)


def test_what_the_caller_names_may_be_missing_or_left_over(saved: tuple[Path, Weights]) -> None:
    folder, weights = saved
    whole(folder, {**weights, "extra.a": torch.zeros(1)})
    load_pretrained(CLIPModel, folder, left_over=r"extra\..*")
    with pytest.raises(UsageError, match=r"1 unexpected \(extra.a\)"):
        load_pretrained(CLIPModel, folder, left_over="extra")  # whole names are matched
    whole(folder, {name: value for name, value in weights.items() if name != HEAD})
    load_pretrained(CLIPModel, folder, unneeded=HEAD)
    with pytest.raises(UsageError, match="1 missing"):
        load_pretrained(CLIPModel, folder, left_over=".*")


def test_counters_of_older_versions_are_left_where_they_are(saved: tuple[Path, Weights]) -> None:
    folder, weights = saved
    old = {
        "text_model.embeddings.position_ids": torch.arange(20)[None],
        "vision_model.x.num_batches_tracked": torch.tensor(3),
    }
    pickled(folder, {**weights, **old})
    load_pretrained(CLIPModel, folder)


def test_a_tower_is_read_from_the_whole_model_s_checkpoint(saved: tuple[Path, Weights]) -> None:
    folder, weights = saved
    pickled(folder, weights)
    tower = load_pretrained(
        CLIPVisionModelWithProjection, folder, left_over=r"logit_scale|text_(model|projection)\..*"
    )
    assert torch.equal(tower.visual_projection.weight, weights[HEAD])
    with pytest.raises(UsageError, match="unexpected"):
        load_pretrained(CLIPVisionModelWithProjection, folder)


class Bomb:
    """What would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_damaged_file_is_refused_in_one_line(
    file: str, content: bytes, saved: tuple[Path, Weights]
) -> None:
    folder, _ = saved
    (folder / file).write_bytes(content)
    with pytest.raises(
        UsageError, match=rf"{file} cannot be (loaded as CLIPModel|read as weights alone)"
    ) as caught:
        load_pretrained(CLIPModel, folder)
    assert len(str(caught.value).splitlines()) == 1


def test_nothing_is_unpickled(saved: tuple[Path, Weights], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, weights = saved
    monkeypatch.chdir(folder)
    torch.save({**weights, "bomb": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"pytorch_model.bin cannot be read as weights alone"):
        load_pretrained(CLIPModel, folder)
    assert not (folder / "exploded").exists()


def test_safetensors_are_preferred_and_a_missing_shard_is_refused(
    saved: tuple[Path, Weights],
) -> None:
    folder, weights = saved
    (folder / "pytorch_model.bin").write_bytes(b"not to be read")
    shards(folder, weights)
    load_pretrained(CLIPModel, folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        UsageError,
        match=r"index.json cannot be loaded as CLIPModel: .*model-00002-of-00002.safetensors",
    ):
        load_pretrained(CLIPModel, folder)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors or pytorch_model.bin"])
def test_a_folder_without_a_part_says_which(missing: str, saved: tuple[Path, Weights]) -> None:
    folder, weights = saved
    if missing == "config.json":
        whole(folder, weights)
        (folder / missing).unlink()
    with pytest.raises(UsageError, match=f"{folder} has no {missing}"):
        load_pretrained(CLIPModel, folder)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "config.json"),
        ("{}", "model_type"),
        (
            '{"model_type": "clip", "vision_config": {"hidden_size": "wide"}}',
            "'hidden_size': .* got str",
        ),
    ],
)
def test_a_configuration_that_is_none_is_refused(
    config: str, reason: str, saved: tuple[Path, Weights]
) -> None:
    folder, weights = saved
    whole(folder, weights)
    (folder / "config.json").write_text(config)
    with pytest.raises(
        UsageError, match=f"model.safetensors cannot be loaded as AutoModel: .*{reason}"
    ):
        load_pretrained(AutoModel, folder)


def test_the_fingerprint_is_of_the_weights_that_are_read(saved: tuple[Path, Weights]) -> None:
    folder, weights = saved
    pickled(folder, weights)
    first = fingerprint_of(folder)
    pickled(folder, {**weights, HEAD: weights[HEAD] + 1})
    assert fingerprint_of(folder) != first
    whole(folder, weights)
    beside = fingerprint_of(folder)
    (folder / "pytorch_model.bin").unlink()
    assert fingerprint_of(folder) == beside
