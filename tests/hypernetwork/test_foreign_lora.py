"""LoRAs of peft and diffusers on every family, against the stock pipelines that loaded them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.sources import load_folder
from hnbench.methods.finetune import FineTuned
from hnbench.rewards.redness import Redness
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.toys import ToyGenerator
from hnbench.weights.quiet import quiet_loading
from tests.generators.test_families import CALLS
from tests.hypernetwork.rivals import change, save_by_diffusers, save_peft
from tests.tiny import FAMILIES, PROMPTS

TASKS = [Task(str(index), prompt, index) for index, prompt in enumerate(PROMPTS)]
WITH_DIFFUSERS = [name for name in FAMILIES if not name.startswith("pixart")]
"""diffusers loads no LoRA onto PixArt's transformer."""


def part_of(name: str) -> str:
    unets = ("stable-diffusion", "stable-diffusion-xl")
    return "unet" if name in unets else "transformer"


def stock(folder: Path, dtype: torch.dtype = torch.float64) -> Any:
    with quiet_loading():
        pipeline: Any = DiffusionPipeline.from_pretrained(folder, dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_images(name: str, pipeline: Any, generator: PipelineGenerator) -> Tensor:
    noises = NoiseSource(7, generator.noise_shape)
    seeds = [torch.Generator().manual_seed(seed) for seed in noises.step_seeds(TASKS)]
    latents = generator.stock_latents(noises.batch(TASKS).double())
    call = generator.stock_arguments | CALLS[name]
    images: Tensor = pipeline(
        prompt=list(PROMPTS),  # Z-Image's pipeline writes into the list
        latents=latents,
        generator=seeds,
        output_type="pt",
        **call,
    ).images
    return images


def row(method: FineTuned, generator: PipelineGenerator) -> Tensor:
    noises = NoiseSource(7, generator.noise_shape)
    outcomes = list(method.propose(TASKS, generator, Redness(), noises))
    assert [outcome.label for outcome in outcomes] == ["finetune"] * len(TASKS)
    for task, outcome in zip(TASKS, outcomes, strict=True):
        assert torch.equal(outcome.noise.float(), noises.draw(task)), "the noise is not changed"
    return torch.stack([outcome.image for outcome in outcomes])


def base(generator: PipelineGenerator) -> Tensor:
    noises = NoiseSource(7, generator.noise_shape)
    conditioning = generator.encode(PROMPTS).seeded(noises.step_seeds(TASKS))
    with torch.no_grad():
        return generator.generate(noises.batch(TASKS).double(), conditioning)


def loaded(name: str, folder: Path, dtype: str = "float64", **options: Any) -> PipelineGenerator:
    given = {**FAMILIES[name].options, **options}
    return load_folder(folder, name=name, device="cpu", dtype=dtype, **given)


@pytest.mark.parametrize("patterns", [False, True], ids=["one rank", "ranks by layer"])
@pytest.mark.parametrize("name", WITH_DIFFUSERS)
def test_a_diffusers_lora_makes_the_stock_pipelines_images(
    name: str, patterns: bool, tmp_path: Path
) -> None:
    folder = FAMILIES[name].save(tmp_path / "pipeline")
    more: dict[str, Any] = (
        {"rank_pattern": {"to_k": 2}, "alpha_pattern": {"to_v": 3}} if patterns else {}
    )
    lora = save_by_diffusers(tmp_path / "lora", stock(folder), part_of(name), **more)
    generator = loaded(name, folder)
    before = base(generator)
    method = FineTuned(adapter=lora)
    training = method.prepare(generator)
    assert (training.kind, training.checkpoint, training.seen) == (
        "finetune",
        "diffusers LoRA",
        None,
    )
    ours = row(method, generator)
    pipeline = stock(folder)
    with quiet_loading():
        pipeline.load_lora_weights(lora)
    torch.testing.assert_close(
        ours, stock_images(name, pipeline, generator), atol=1e-6, rtol=0, check_dtype=False
    )
    assert (ours - before).abs().max() > 1e-3
    assert torch.equal(base(generator), before), "the base stays bit for bit itself"
    assert torch.equal(row(FineTuned(adapter=next(lora.iterdir())), generator), ours), "its file"


@pytest.mark.parametrize("options", [{}, {"use_rslora": True, "rank_pattern": {"to_k": 2}}])
@pytest.mark.parametrize("name", ["stable-diffusion", "sana-sprint", "pixart", "flux"])
def test_a_peft_lora_makes_the_stock_pipelines_images(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    folder = FAMILIES[name].save(tmp_path / "pipeline")
    part = part_of(name)
    lora = save_peft(tmp_path / "lora", getattr(stock(folder), part), **options)
    generator = loaded(name, folder)
    before = base(generator)
    ours = row(FineTuned(adapter=lora), generator)
    pipeline = stock(folder)
    PeftModel.from_pretrained(getattr(pipeline, part), str(lora))  # changes the network in place
    torch.testing.assert_close(
        ours, stock_images(name, pipeline, generator), atol=1e-6, rtol=0, check_dtype=False
    )
    assert (ours - before).abs().max() > 1e-3
    assert torch.equal(base(generator), before)


def test_a_kohya_file_has_its_own_alphas(tmp_path: Path) -> None:
    name = "stable-diffusion"
    folder = FAMILIES[name].save(tmp_path / "pipeline")
    saved = save_by_diffusers(tmp_path / "lora", stock(folder), "unet")
    weights = {}
    for key, weight in load_file(saved / "pytorch_lora_weights.safetensors").items():
        layer, half = key.removesuffix(".weight").removeprefix("unet.").split(".lora.")
        at = f"lora_unet_{layer.replace('.', '_')}"
        weights[f"{at}.lora_{half}.weight"] = weight
        weights[f"{at}.alpha"] = torch.tensor(6.0)
    save_file(weights, tmp_path / "kohya.safetensors")
    generator = loaded(name, folder)
    torch.testing.assert_close(
        row(FineTuned(adapter=tmp_path / "kohya.safetensors"), generator),
        row(FineTuned(adapter=saved), generator),
        atol=1e-7,
        rtol=0,
    )


def test_it_works_where_the_weights_are_not_on_the_device(tmp_path: Path) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    lora = save_peft(tmp_path / "lora", stock(folder).unet)
    plain = row(FineTuned(adapter=lora), loaded("stable-diffusion", folder))
    offloaded = loaded("stable-diffusion", folder, memory=("offload-blocks",))
    assert torch.equal(row(FineTuned(adapter=lora), offloaded), plain)


def rewritten(folder: Path, change_weights: Any) -> Path:
    path = next(folder.glob("*.safetensors"))
    weights = load_file(path)
    change_weights(weights)
    save_file(weights, path)
    return folder


def drop(weights: dict[str, Tensor]) -> None:
    weights.pop(min(weights))


def reshape(weights: dict[str, Tensor]) -> None:
    name = next(name for name in sorted(weights) if "lora_B" in name or "lora.up" in name)
    weights[name] = torch.zeros(7, 4)


def add(weights: dict[str, Tensor]) -> None:
    first = min(weights)
    weights[first.replace("to_k", "to_nowhere")] = weights[first].clone()


def diverge(weights: dict[str, Tensor]) -> None:
    weights[min(weights)][0, 0] = torch.nan


def text(weights: dict[str, Tensor]) -> None:
    weights["text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"] = (
        torch.zeros(4, 16)
    )


def dora(weights: dict[str, Tensor]) -> None:
    weights["unet.down_blocks.0.dora_scale"] = torch.ones(16)


@pytest.mark.parametrize("kind", ["peft", "diffusers"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop, "missing down_blocks"),
        (reshape, r"has the shape \[7, 4\], and the layer takes (16|32)"),
        (add, "there is no layer .*to_nowhere"),
        (diverge, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_any_image(
    kind: str, damage: Any, message: str, tmp_path: Path
) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    pipeline = stock(folder)
    lora = (
        save_peft(tmp_path / "lora", pipeline.unet)
        if kind == "peft"
        else save_by_diffusers(tmp_path / "lora", pipeline, "unet")
    )
    generator = loaded("stable-diffusion", folder)
    before = base(generator)
    with pytest.raises(UsageError, match=message) as error:
        FineTuned(adapter=rewritten(lora, damage)).prepare(generator)
    assert "UNet2DConditionModel" in str(error.value)
    assert "give the generator that it was trained for" in str(error.value)
    assert torch.equal(base(generator), before)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(text, "it also changes a text encoder"), (dora, "it is a DoRA")],
)
def test_what_diffusers_would_leave_out_is_refused(
    damage: Any, message: str, tmp_path: Path
) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    lora = save_by_diffusers(tmp_path / "lora", stock(folder), "unet")
    with pytest.raises(UsageError, match=message):
        FineTuned(adapter=rewritten(lora, damage)).prepare(loaded("stable-diffusion", folder))


def test_another_family_is_refused(tmp_path: Path) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    other = FAMILIES["sana-sprint"].save(tmp_path / "sana")
    pixart = FAMILIES["pixart"].save(tmp_path / "pixart")
    sana = save_by_diffusers(tmp_path / "lora", stock(other), "transformer")
    peft = save_peft(tmp_path / "peft", stock(other).transformer)
    generator = loaded("stable-diffusion", folder)
    with pytest.raises(UsageError, match="does not begin with 'unet', as all weights for a UNet"):
        FineTuned(adapter=sana).prepare(generator)
    with pytest.raises(UsageError, match=r"is no LoRA for .*: there is no layer 'transformer"):
        FineTuned(adapter=peft).prepare(generator)
    with pytest.raises(UsageError, match="diffusers loads no LoRA onto a PixArtTransformer2DModel"):
        FineTuned(adapter=sana).prepare(loaded("pixart", pixart))
    with pytest.raises(UsageError, match="diffusers loads no LoRA onto a "):
        FineTuned(adapter=sana).prepare(ToyGenerator())


@pytest.mark.parametrize(
    ("field", "value"),
    [("use_dora", True), ("bias", "all"), ("modules_to_save", ["conv_out"]), ("peft_type", "LOHA")],
)
def test_options_beyond_lora_are_refused(field: str, value: Any, tmp_path: Path) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    lora = save_peft(tmp_path / "lora", stock(folder).unet)
    config = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(UsageError, match=r"not supported|is supported"):
        FineTuned(adapter=lora).prepare(loaded("stable-diffusion", folder))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("r", 10**15),
        ("r", 8),
        ("rank_pattern", "everything"),
        ("alpha_pattern", {"to_k": "many"}),
        ("target_modules", "("),
        ("target_modules", ["nowhere"]),
        ("target_modules", ["to_q"]),
        ("lora_alpha", "six"),
    ],
)
def test_a_damaged_configuration_is_one_line(field: str, value: Any, tmp_path: Path) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    lora = save_peft(tmp_path / "lora", stock(folder).unet)
    config = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(UsageError) as error:
        FineTuned(adapter=lora).prepare(loaded("stable-diffusion", folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("use_dora", True), ("bias", "all"), ("modules_to_save", ["conv_out"])],
)
def test_options_in_a_files_header_are_refused(field: str, value: Any, tmp_path: Path) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    lora = save_by_diffusers(tmp_path / "lora", stock(folder), "unet")
    file = lora / "pytorch_lora_weights.safetensors"
    with safe_open(file, "pt") as opened:
        header = json.loads(opened.metadata()["lora_adapter_metadata"])
    metadata = {"lora_adapter_metadata": json.dumps(header | {f"unet.{field}": value})}
    save_file(load_file(file), file, metadata)
    with pytest.raises(UsageError, match=rf"{field}.* is not supported|cannot be loaded onto"):
        FineTuned(adapter=lora).prepare(loaded("stable-diffusion", folder))


def test_the_identity_follows_the_weights_and_the_scale(tmp_path: Path) -> None:
    folder = FAMILIES["stable-diffusion"].save(tmp_path / "pipeline")
    network = stock(folder).unet
    lora = save_peft(tmp_path / "lora", network)
    first = FineTuned(adapter=lora).identity()
    assert set(first) == {"name", "adapter"}
    assert len(first["adapter"]) == 64
    config = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 9}))
    scaled = FineTuned(adapter=lora).identity()
    change(network, by=0.0)
    rewritten(lora, lambda weights: weights[min(weights)].add_(1))
    assert len({one["adapter"] for one in (first, scaled, FineTuned(adapter=lora).identity())}) == 3
