"""Models that were distilled from an SDXL base: each against diffusers' own pipeline with the same
files, at its published steps; and what is refused.
"""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, TCDScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.places import Changed, parse_changes
from hnbench.generators.samplers import Sampler
from hnbench.generators.sources import at_place, load_by_place
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.weights import hub
from hnbench.weights.quiet import quiet_loading
from tests.generators import distilled
from tests.tiny import PROMPTS

TASKS = [Task(str(index), prompt, index) for index, prompt in enumerate(PROMPTS)]
SEEDS = NoiseSource(7, (1,)).step_seeds(TASKS)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, a UNet in two kinds of files, and a LoRA in two formats."""
    folder = tmp_path_factory.mktemp("distilled")
    distilled.save_base(folder / "base")
    distilled.save_unet(folder / "unet.safetensors")
    distilled.save_unet(folder / "unet.bin")
    distilled.save_lora(folder / "kohya.safetensors")
    distilled.save_lora(folder / "diffusers.safetensors", kohya=False)
    distilled.save_lora(folder / "kohya.bin")
    return folder


def load(world: Path, changes: str = "", dtype: str = "float64") -> PipelineGenerator:
    """The generator of the base with changes, whose files are named without their folder."""
    for key in ("unet", "lora"):
        changes = changes.replace(f"{key}=", f"{key}={world}/")
    return load_by_place(f"{world / 'base'}:{changes}", device="cpu", dtype=dtype)


def noise_for(generator: PipelineGenerator) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(len(PROMPTS), *generator.noise_shape, generator=draw, dtype=generator.dtype)


def generated(generator: PipelineGenerator, noise: Tensor, steps: int) -> Tensor:
    with torch.no_grad():
        return generator.generate(noise, generator.encode(PROMPTS).seeded(SEEDS), steps)


def expected(pipeline: Any, noise: Tensor, steps: int, **call: Any) -> Tensor:
    between = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    with quiet_loading():
        images: Tensor = pipeline(
            PROMPTS,
            latents=noise,
            num_inference_steps=steps,
            guidance_scale=0.0,
            generator=between,
            output_type="pt",
            **call,
        ).images
    return images


UNET, LORA = {"unet": "unet.safetensors"}, {"lora": "kohya.safetensors"}
FOUR = [999, 749, 499, 249]
TRAILING = {"timestep_spacing": "trailing"}
PUBLISHED: dict[str, tuple[str, int, type[Any], dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "dmd2": (
        "unet=unet.bin,scheduler=lcm,first_timestep=399",
        1,
        LCMScheduler,
        {"unet": "unet.bin"},
        {},
        {"timesteps": [399]},
    ),
    "dmd2 in four steps": (
        "unet=unet.bin,scheduler=lcm,first_timestep=999",
        4,
        LCMScheduler,
        {"unet": "unet.bin"},
        {},
        {"timesteps": FOUR},
    ),
    "dmd2's lora": (
        "lora=diffusers.safetensors,scheduler=lcm,first_timestep=999",
        4,
        LCMScheduler,
        {"lora": "diffusers.safetensors"},
        {},
        {"timesteps": FOUR},
    ),
    "lightning": (
        "unet=unet.safetensors,scheduler=euler",
        4,
        EulerDiscreteScheduler,
        UNET,
        TRAILING,
        {},
    ),
    "lightning in two steps": (
        "unet=unet.safetensors,scheduler=euler",
        2,
        EulerDiscreteScheduler,
        UNET,
        TRAILING,
        {},
    ),
    "lightning in one step": (
        "unet=unet.safetensors,scheduler=euler,prediction=sample",
        1,
        EulerDiscreteScheduler,
        UNET,
        {**TRAILING, "prediction_type": "sample"},
        {},
    ),
    "lightning's lora": (
        "lora=kohya.safetensors,scheduler=euler",
        4,
        EulerDiscreteScheduler,
        LORA,
        TRAILING,
        {},
    ),
    "hyper": (
        "unet=unet.safetensors,scheduler=lcm,first_timestep=800",
        1,
        LCMScheduler,
        UNET,
        {},
        {"timesteps": [800]},
    ),
    "hyper by tcd": (
        "unet=unet.safetensors,scheduler=tcd,first_timestep=800",
        1,
        TCDScheduler,
        UNET,
        {},
        {"timesteps": [800]},
    ),
    "hyper's lora for two steps": (
        "lora=kohya.safetensors,scheduler=ddim",
        2,
        DDIMScheduler,
        LORA,
        TRAILING,
        {},
    ),
    **{
        f"hyper's unified lora, {steps} steps": (
            "lora=kohya.safetensors,scheduler=tcd,eta=1",
            steps,
            TCDScheduler,
            LORA,
            {},
            {"eta": 1.0},
        )
        for steps in (1, 4, 8)
    },
    "lcm": ("lora=kohya.safetensors,scheduler=lcm", 4, LCMScheduler, LORA, {}, {}),
    "lcm from a pickled file": (
        "lora=kohya.bin,scheduler=lcm",
        4,
        LCMScheduler,
        {"lora": "kohya.bin"},
        {},
        {},
    ),
    "tcd": (
        "lora=kohya.safetensors,scheduler=tcd,eta=0.3",
        4,
        TCDScheduler,
        LORA,
        {},
        {"eta": 0.3},
    ),
    "tcd without noise": ("lora=kohya.safetensors,scheduler=tcd", 4, TCDScheduler, LORA, {}, {}),
}
"""Changes, steps, and the stock pipeline: scheduler, files, settings, arguments of the call."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_images_equal_the_stock_pipelines(name: str, world: Path) -> None:
    changes, steps, scheduler, files, settings, call = PUBLISHED[name]
    generator = load(world, changes)
    noise = noise_for(generator)
    paths: Any = {key: world / file for key, file in files.items()}
    pipeline = distilled.stock(world / "base", scheduler, **paths, **settings)
    ours = generated(generator, noise, steps)
    theirs = expected(pipeline, noise, steps, **call)
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    assert ours.std() > 0.05


def test_the_weights_and_the_scheduler_matter(world: Path) -> None:
    """The images of all variants differ, so an unused option would be seen above."""
    noise = noise_for(load(world, "scheduler=lcm"))
    images = [
        generated(load(world, changes), noise, 4)
        for changes in (
            "scheduler=lcm",
            "scheduler=tcd",
            "scheduler=tcd,eta=0.3",
            "scheduler=euler",
            "scheduler=lcm,first_timestep=399",
            "unet=unet.bin,scheduler=lcm",
            "lora=kohya.safetensors,scheduler=lcm",
        )
    ]
    for place, one in enumerate(images):
        for other in images[:place]:
            assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("file", "scale"),
    [("kohya.safetensors", distilled.ALPHA / distilled.RANK), ("diffusers.safetensors", 1.0)],
)
def test_a_lora_is_added_to_the_weights(file: str, scale: float, world: Path) -> None:
    plain = load(world, "scheduler=lcm").backbone.state_dict()
    fused = load(world, f"lora={file},scheduler=lcm").backbone.state_dict()
    assert fused.keys() == plain.keys(), "no layer of the LoRA is left"
    lora = distilled.lora_of()
    for name in plain:
        module = name.removesuffix(".weight")
        change = torch.zeros_like(plain[name])
        if f"{module}.lora_A.weight" in lora:
            down, up = (lora[f"{module}.lora_{side}.weight"].double() for side in "AB")
            change = (up.flatten(1) @ down.flatten(1)).reshape(change.shape) * scale
        torch.testing.assert_close(fused[name], plain[name] + change, atol=1e-6, rtol=0)
    assert not any(
        value.requires_grad
        for value in load(world, f"lora={file},scheduler=lcm").backbone.parameters()
    )


def test_the_first_pass_is_at_the_first_timestep(world: Path) -> None:
    """What a hypernetwork is built from."""
    generator = load(world, "unet=unet.bin,scheduler=lcm,first_timestep=399")
    noise, text = noise_for(generator), generator.encode(PROMPTS)
    with torch.no_grad():
        expected = generator._denoise(noise, torch.tensor(399), text)
        assert torch.equal(generator.predict(noise, text), expected)


def test_noise_between_steps_needs_seeds_only_where_there_is_any(world: Path) -> None:
    noisy, plain = (load(world, f"scheduler=tcd{eta}") for eta in (",eta=0.3", ""))
    noise = noise_for(noisy)
    text = noisy.encode(PROMPTS)
    with torch.no_grad():
        plain.generate(noise, text, 4)
        with pytest.raises(ValueError, match="adds noise between its steps"):
            noisy.generate(noise, text, 4)
        alone = noisy.generate(noise[1:2], text.seeded(SEEDS)[[1]], 4)
    torch.testing.assert_close(generated(noisy, noise, 4)[1:2], alone, atol=1e-6, rtol=0)


def test_it_is_known_by_its_files_and_its_sampler(world: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(world, tmp_path / "copied")
    changes = "unet=unet.bin,scheduler=lcm,first_timestep=399"
    made = load(world, changes, "float32")
    assert load(copied, changes, "float32").fingerprint == made.fingerprint
    others = [
        "unet=unet.safetensors,scheduler=lcm,first_timestep=399",
        "unet=unet.bin,scheduler=lcm,first_timestep=999",
        "unet=unet.bin,scheduler=lcm",
        "scheduler=lcm",
        "lora=kohya.bin,scheduler=lcm",
    ]
    prints = {load(world, other, "float32").fingerprint for other in others}
    assert len(prints | {made.fingerprint}) == 6
    assert made.details["unet"] == str(world / "unet.bin")
    assert made.details["pipeline"] == str(world / "base")
    assert made.details["sampler"] == {"scheduler": "lcm", "first_timestep": 399}


def test_of_the_hub_only_the_needed_files_are_taken(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the commits that were loaded are recorded."""
    commits = {"o/base": "a" * 40, "o/unet": "b" * 40, "o/lora": "c" * 40}
    for repo, commit in commits.items():
        root = tmp_path / "cache" / f"models--{repo.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text(commit)
        snapshot = root / "snapshots" / commit
        if repo == "o/base":
            shutil.copytree(world / "base", snapshot)
            (snapshot / "unet" / "diffusion_pytorch_model.safetensors").unlink()
        else:
            (snapshot / "a").mkdir(parents=True)
            shutil.copy(world / "unet.bin", snapshot / "a" / "u[1].bin")
            shutil.copy(world / "kohya.bin", snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    place = "o/base:unet=o/unet/a/u[1].bin,lora=o/lora/kohya.bin,scheduler=lcm"
    made = load_by_place(place, device="cpu", dtype="float64")
    assert made.name == place
    assert {part: made.details[part] for part in ("pipeline", "unet", "lora")} == {
        "pipeline": f"o/base@{'a' * 40}",
        "unet": f"o/unet/a/u[1].bin@{'b' * 40}",
        "lora": f"o/lora/kohya.bin@{'c' * 40}",
    }
    local = load(world, "unet=unet.bin,lora=kohya.bin,scheduler=lcm")
    noise = noise_for(local)
    assert torch.equal(generated(made, noise, 2), generated(local, noise, 2))
    index, base, unet, lora = [at_place(place).index(), *at_place(place).sources("float64")]
    assert index is not None
    assert [source.repo for source in (index, base, unet, lora)] == ["o/base", *commits]
    there = ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "model_index.json"]
    chosen = hub.select(replace(base, needs=base.needs[:1] + base.needs[-1:]), there)
    assert set(chosen) == {"unet/config.json", "model_index.json"}
    assert hub.select(unet, ["a/u[1].bin", "a/u1.bin", "b.bin"]) == ["a/u[1].bin"]
    with pytest.raises(UsageError, match=r"o/lora.* has no other.bin|it has no other.bin"):
        load_by_place("o/base:lora=o/lora/other.bin,scheduler=lcm", device="cpu", dtype="float32")


def test_a_unet_of_a_folder(world: Path, tmp_path: Path) -> None:
    from tests import tiny

    with tiny.seeded(3):
        tiny.stable_diffusion_xl_unet().half().save_pretrained(tmp_path / "unet")
    shutil.copytree(world / "base", tmp_path / "base")
    made = load_by_place(
        f"{tmp_path / 'base'}:unet={tmp_path},scheduler=lcm", device="cpu", dtype="float64"
    )
    one = load(world, "unet=unet.bin,scheduler=lcm")
    noise = noise_for(one)
    torch.testing.assert_close(generated(made, noise, 2), generated(one, noise, 2))


def test_a_unet_that_takes_a_guidance_scale_is_refused(world: Path, tmp_path: Path) -> None:
    base = shutil.copytree(world / "base", tmp_path / "base")
    path = base / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "time_cond_proj_dim": 8}))
    weights = load_file(world / "unet.safetensors")
    weights["time_embedding.cond_proj.weight"] = torch.zeros(16, 8)
    save_file(weights, tmp_path / "guided.safetensors")
    with pytest.raises(UsageError, match="its UNet takes a guidance scale"):
        load_by_place(
            f"{base}:unet={tmp_path / 'guided.safetensors'},scheduler=lcm",
            device="cpu",
            dtype="float32",
        )


def test_files_that_do_not_fit_are_refused(world: Path) -> None:
    weights = load_file(world / "unet.safetensors")
    save_file(dict(list(weights.items())[1:]), world / "lacking.safetensors")
    save_file({**weights, "more": torch.zeros(1)}, world / "more.safetensors")
    lora = distilled.in_kohya(distilled.lora_of())
    other = {name.replace("_to_q.", "_to_x."): value for name, value in lora.items()}
    save_file(other, world / "other.safetensors")
    (world / "nonsense.safetensors").write_bytes(b"nonsense")
    (world / "code.bin").write_bytes(pickle.dumps(print, protocol=2))
    torch.save([1], world / "list.bin")
    for changes, message in {
        "unet=lacking.safetensors": "checkpoint of another architecture; keys: 1 missing",
        "unet=more.safetensors": "checkpoint of another architecture; keys: 1 unexpected",
        "unet=nonsense.safetensors": "nonsense.safetensors cannot be read",
        "unet=code.bin": "code.bin cannot be read as a file of weights alone",
        "unet=list.bin": "list.bin holds no tensors by name",
        "lora=other.safetensors": "other.safetensors is a LoRA of another architecture",
        "lora=nonsense.safetensors": "nonsense.safetensors cannot be loaded as a LoRA",
        "lora=code.bin": "code.bin cannot be loaded as a LoRA",
        "lora=unet.safetensors": "unet.safetensors cannot be loaded as a LoRA",
    }.items():
        with pytest.raises(UsageError, match=message):
            load(world, f"{changes},scheduler=lcm")


def test_other_families_have_no_scheduler_to_choose(tmp_path: Path) -> None:
    from tests import tiny

    tiny.sana_sprint().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="has no choice of a scheduler; leave out `scheduler`"):
        load_by_place(f"{tmp_path}:scheduler=lcm", device="cpu", dtype="float32")
    with pytest.raises(UsageError, match="has no unet; leave out `unet`"):
        load_by_place(f"{tmp_path}:unet=o/r/unet.bin", device="cpu", dtype="float32")


def test_what_is_typed_is_read() -> None:
    sampler = Sampler("lcm", first_timestep=399)
    assert parse_changes(
        "o/r@v1:unet=a/b/c/d.bin@v2, scheduler = lcm,first_timestep=399"
    ) == Changed("o/r@v1", {"unet": "a/b/c/d.bin@v2"}, None, sampler)
    assert parse_changes("o/r") == Changed("o/r", {}, None, None)
    assert Sampler("lcm", first_timestep=999).timesteps(4) == FOUR
    assert [sampler.timesteps(steps) for steps in (1, 2)] == [[399], [399, 199]]
    assert Sampler("lcm", first_timestep=800).timesteps(1) == [800]
    assert Sampler("euler").timesteps(4) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("o/r:unet=a/b/c.bin,weights=x", "'weights=x' is not key=value with one of the keys unet"),
        ("o/r:eta=0.3", "give a scheduler with eta"),
        ("o/r:scheduler=lcm,scheduler=tcd", "give scheduler once, and a value with it"),
        ("o/r:scheduler=", "give scheduler once, and a value with it"),
        ("o/r:scheduler=lms", "`scheduler` was 'lms'; give one of: ddim, euler, lcm, tcd"),
        ("o/r:scheduler=lcm,first_timestep=1000", "`first_timestep` was 1000 with"),
        ("o/r:scheduler=euler,first_timestep=399", "give 0 to 999, and lcm or tcd"),
        ("o/r:scheduler=lcm,first_timestep=x", "first_timestep must be a whole number"),
        ("o/r:scheduler=lcm,eta=0.3", "`eta` was 0.3 with `scheduler` lcm; give 0 to 1, and tcd"),
        ("o/r:scheduler=tcd,eta=2", "`eta` was 2 with"),
        ("o/r:scheduler=tcd,prediction=x", "`prediction` was 'x'; give one of: epsilon, sample"),
        ("o/r:lora=o/l", "`lora` was 'o/l'; give a file, or owner/name/FILE"),
        ("o/r:lora=./nowhere.bin", "there is no folder or file ./nowhere.bin"),
        ("o/r:unet=here", "'here' is not a repository of the Hub"),
        ("r:scheduler=lcm", "'r' is not a repository of the Hub"),
        ("o/r/file:scheduler=lcm", "'o/r/file' is not a repository of the Hub"),
    ],
)
def test_what_cannot_be_is_refused_at_once(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_changes(text)
