"""Networks and whole pipelines as other weights of a generator, against the stock pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hnbench.errors import UsageError
from hnbench.flops import counted
from hnbench.metering import Meter, MeteredGenerator
from hnbench.methods.finetune import FineTuned
from hnbench.rewards.redness import Redness
from hnbench.seeds import NoiseSource
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.rivals import change
from tests.hypernetwork.test_foreign_lora import (
    TASKS,
    base,
    loaded,
    part_of,
    row,
    stock,
    stock_images,
)
from tests.tiny import FAMILIES, PROMPTS

EXACT: dict[str, Any] = {"atol": 1e-6, "rtol": 0, "check_dtype": False}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_makes_the_stock_pipelines_images(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    pipeline, part = stock(folders[name]), part_of(name)
    change(getattr(pipeline, part), names="weight", by=0.05)
    getattr(pipeline, part).save_pretrained(tmp_path / part)
    generator = loaded(name, folders[name])
    before = base(generator)
    ours = row(FineTuned(adapter=tmp_path / part), generator)
    torch.testing.assert_close(ours, stock_images(name, pipeline, generator), **EXACT)
    assert torch.equal(row(FineTuned(adapter=tmp_path), generator), ours), "in a repository"
    assert torch.equal(base(generator), before), "the base stays bit for bit itself"
    assert (ours - before).abs().max() > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pipeline_uses_all_of_its_own_parts(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    pipeline = stock(folders[name])
    for part in (part_of(name), "text_encoder", "vae"):
        change(getattr(pipeline, part), names="weight", by=0.02)
    pipeline.save_pretrained(tmp_path)
    generator = loaded(name, folders[name])
    before = base(generator)
    ours = row(FineTuned(adapter=tmp_path), generator)
    torch.testing.assert_close(ours, stock_images(name, pipeline, generator), **EXACT)
    assert torch.equal(base(generator), before)
    assert (ours - before).abs().max() > 1e-3


def changed(folder: Path, tmp_path: Path, *, whole: bool) -> Path:
    pipeline = stock(folder, torch.float32)
    change(pipeline.unet, names="weight", by=0.05)
    (pipeline if whole else pipeline.unet).save_pretrained(tmp_path / "tuned")
    return tmp_path / "tuned"


@pytest.mark.parametrize("whole", [True, False])
def test_passes_and_operations_are_those_of_the_base(
    whole: bool, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = folders["stable-diffusion"]
    tuned = changed(folder, tmp_path, whole=whole)
    generator = loaded("stable-diffusion", folder, "float32")
    noises, meter = NoiseSource(7, generator.noise_shape), Meter()
    metered = MeteredGenerator(generator, meter, steps=2)
    method = FineTuned(adapter=tuned)
    method.prepare(generator)
    generator.encode_ahead(PROMPTS)
    found = []
    for make in (
        lambda: list(method.propose(TASKS, metered, Redness(), noises)),
        lambda: generator.generate(
            noises.batch(TASKS), generator.encode(PROMPTS).seeded(noises.step_seeds(TASKS)), 2
        ),
    ):
        with torch.no_grad(), counted() as work:
            make()
        found.append(work.flops)
    assert found[0] == found[1] > 0
    assert vars(meter) == vars(Meter(generator_forward=2 * len(TASKS)))
    assert metered.most_at_once == len(TASKS)


@pytest.mark.parametrize("whole", [True, False])
def test_weights_are_loaded_once_and_texts_encoded_ahead(
    whole: bool, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders["stable-diffusion"]
    tuned = changed(folder, tmp_path, whole=whole)
    generator = loaded("stable-diffusion", folder, "float32")
    other = generator.with_weights_of(tuned)
    assert generator.with_weights_of(tuned) is other
    assert other.fingerprint != generator.fingerprint
    generator.encode_ahead(PROMPTS)
    monkeypatch.setattr(type(generator), "_encode", None)
    assert len(other.encode(PROMPTS)) == len(PROMPTS)
    names = set(generator.networks)
    expected = {"backbone", "image decoder", "backbone of fine-tuned weights 1"}
    assert names == (expected | ({"image decoder of fine-tuned weights 1"} if whole else set()))


def test_it_works_where_the_weights_are_not_on_the_device(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = folders["stable-diffusion"]
    method = FineTuned(adapter=changed(folder, tmp_path, whole=False))
    plain = row(method, loaded("stable-diffusion", folder))
    offloaded = loaded("stable-diffusion", folder, memory=("offload-blocks",))
    assert torch.equal(row(method, offloaded), plain)


def test_what_does_not_fit_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    generator = loaded("stable-diffusion", folders["stable-diffusion"], "float32")
    with pytest.raises(UsageError, match=r"is a FluxPipeline; .* is a StableDiffusionPipeline"):
        generator.with_weights_of(folders["flux"])
    with pytest.raises(UsageError, match=r"is a PixArtTransformer2DModel; the backbone of "):
        generator.with_weights_of(folders["pixart"] / "transformer")
    with pytest.raises(UsageError, match="cross_attention_dim is 32 instead of 16"):
        generator.with_weights_of(folders["stable-diffusion-xl"] / "unet")
    with pytest.raises(UsageError, match=r"is no diffusers pipeline, .* give a LoRA"):
        ToyGenerator().with_weights_of(folders["flux"])
    tuned = changed(folders["stable-diffusion"], tmp_path, whole=True)
    index = tuned / "unet" / "config.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"in_channels": 5}))
    with pytest.raises(UsageError, match=r"conv_in\.weight expected shape"):
        generator.with_weights_of(tuned)
