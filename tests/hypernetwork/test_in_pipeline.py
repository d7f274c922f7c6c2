"""With latents from a hypernetwork, diffusers' own pipeline makes the images of the method
HyperNoise, and without them its own; an adapter of another model is refused.
"""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler, LCMScheduler, TCDScheduler
from torch import Tensor

import hnbench
from hnbench.errors import UsageError
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.shared import around
from hnbench.generators.sources import load_by_place, load_folder
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import save_adapter
from hnbench.methods.hypernoise import HyperNoise
from hnbench.rewards.redness import Redness
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.weights.quiet import quiet_loading
from tests.generators import distilled
from tests.tiny import FAMILIES, PROMPTS, seeded

TASKS = [Task(str(index), prompt, index) for index, prompt in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes, once for each family, the folders of its pipeline and of an adapter for it."""

    @cache
    def make(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(name)
        return FAMILIES[name].save(folder / "base"), adapter(name, folder / "base", folder / "lora")

    return make


def adapter(name: str, base: Path, folder: Path, dtype: str = "float32") -> Path:
    """An adapter of the pipeline in `base`, away from zero."""
    options = dict(FAMILIES[name].options)
    generator = load_folder(base, name=name, device="cpu", dtype=dtype, **options)
    return adapter_of(generator, folder, options)


def adapter_of(
    generator: PipelineGenerator, folder: Path, options: dict[str, Any], **more: Any
) -> Path:
    """An adapter of a generator with these options, away from zero; `more` is described too."""
    lora, draw = LoraAdapter(generator.backbone, LoraSettings(4, 8.0)), torch.Generator()
    draw.manual_seed(3)
    lora.load_state_dict(
        {
            key: weight + 0.2 * torch.randn(weight.shape, generator=draw)
            for key, weight in lora.state_dict().items()
        }
    )
    trained = {
        **more,
        "name": generator.name,
        "fingerprint": generator.fingerprint,
        "noise_shape": list(generator.noise_shape),
    }
    description = {"kind": "hypernoise", "generator": trained, "config": options}
    save_adapter(folder, lora, generator.backbone, description)
    return folder


def stock(folder: Path, **options: Any) -> Any:
    with quiet_loading():
        pipeline: Any = DiffusionPipeline.from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def images_of(pipeline: Any, latents: Tensor, arguments: dict[str, Any]) -> Tensor:
    # Z-Image's pipeline writes into the list, and FLUX.2's takes an image first.
    call = {"prompt": list(PROMPTS), "latents": latents, "output_type": "pt", **arguments}
    found: Tensor = pipeline(**call).images
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_stock_pipelines_image_is_hypernoises(name: str, made: Any) -> None:
    base, trained = made(name)
    generator = load_folder(
        base, name=name, device="cpu", dtype="float32", **FAMILIES[name].options
    )
    noises = NoiseSource(7, generator.noise_shape)
    method = HyperNoise(adapter=trained)
    outcomes = list(method.propose(TASKS, generator, Redness(), noises))
    expected = torch.stack([outcome.image for outcome in outcomes])

    pipeline = stock(base)
    hypernetwork = hnbench.load_hypernetwork(trained, pipeline)
    assert hypernetwork.noise_shape == generator.noise_shape
    noise = noises.batch(TASKS)
    latents = hypernetwork(noise, PROMPTS)
    with torch.no_grad():
        found = images_of(pipeline, latents, hypernetwork.arguments)
        plain = images_of(pipeline, noise, hypernetwork.arguments)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert (found - plain).abs().mean() > 0.005
    # The latents are the changed noise itself, and a prompt can be for all noises.
    torch.testing.assert_close(
        latents, torch.stack([outcome.noise for outcome in outcomes]), atol=1e-4, rtol=0
    )
    alone = torch.cat([hypernetwork(noise[row : row + 1], PROMPTS[0]) for row in range(3)])
    digits = 1e-5 * float((alone - noise).abs().max())  # float32 has some six, of a large change
    torch.testing.assert_close(hypernetwork(noise, PROMPTS[0]), alone, atol=digits, rtol=0)


@pytest.mark.parametrize(
    ("changes", "file", "scheduler"),
    [
        ("unet=unet.bin,scheduler=lcm,first_timestep=399", "unet.bin", LCMScheduler),
        ("lora=lora.safetensors,scheduler=tcd,eta=0.3", "lora.safetensors", TCDScheduler),
    ],
)
def test_with_a_distilled_models_scheduler_too(
    changes: str, file: str, scheduler: type[Any], tmp_path: Path
) -> None:
    """The pipeline is put together as the model's card says; the first timestep is the model's."""
    distilled.save_base(tmp_path / "base")
    distilled.save_unet(tmp_path / "unet.bin")
    distilled.save_lora(tmp_path / "lora.safetensors")
    place = f"{tmp_path / 'base'}:{changes.replace('=', f'={tmp_path}/', 1)}"
    generator = load_by_place(place, device="cpu", dtype="float32")
    trained = adapter_of(generator, tmp_path / "adapter", {}, sampler=generator.details["sampler"])
    noises = NoiseSource(7, generator.noise_shape)
    outcomes = list(HyperNoise(adapter=trained).propose(TASKS, generator, Redness(), noises))
    paths: Any = {file.partition(".")[0]: tmp_path / file}
    pipeline = distilled.stock(tmp_path / "base", scheduler, dtype=torch.float32, **paths)
    if file.startswith("lora"):
        pipeline.unload_lora_weights()  # it stays added to the weights
    with pytest.warns(UserWarning, match="names and shapes"):
        hypernetwork = hnbench.load_hypernetwork(trained, pipeline)
    latents = hypernetwork(noises.batch(TASKS), PROMPTS)
    with torch.no_grad(), quiet_loading():
        found = images_of(pipeline, latents, hypernetwork.arguments)
    expected = torch.stack([outcome.image for outcome in outcomes])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    with pytest.raises(UsageError, match=rf"trained with a {scheduler.__name__}, and the pipeline"):
        hnbench.load_hypernetwork(trained, pipeline)


def test_a_network_trained_by_regression_is_used_alike(made: Any, tmp_path: Path) -> None:
    base, trained = made("stable-diffusion")
    regressed = Path(shutil.copytree(trained, tmp_path / "regressed"))
    description = json.loads((trained / "hnbench.json").read_text())
    (regressed / "hnbench.json").write_text(json.dumps(description | {"kind": "regression"}))
    networks = [hnbench.load_hypernetwork(one, stock(base)) for one in (trained, regressed)]
    noise = torch.randn(2, *networks[0].noise_shape, generator=torch.Generator().manual_seed(1))
    first, second = (network(noise, "a red ring") for network in networks)
    assert torch.equal(first, second)
    assert not torch.equal(first, noise)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_pipeline_is_not_changed(name: str, made: Any) -> None:
    base, trained = made(name)
    pipeline = stock(base, dtype=torch.bfloat16)
    models = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    for model in models:
        model.train()
    before = [
        [(key, value.dtype, value.requires_grad, value._version) for key, value in it]
        for it in (model.named_parameters() for model in models)
    ]
    scheduler = dict(vars(pipeline.scheduler))
    hypernetwork = hnbench.load_hypernetwork(trained, pipeline)
    noise = torch.randn(3, *hypernetwork.noise_shape, generator=torch.Generator().manual_seed(1))
    hypernetwork(noise, PROMPTS)
    assert before == [
        [(key, value.dtype, value.requires_grad, value._version) for key, value in it]
        for it in (model.named_parameters() for model in models)
    ]
    assert all(model.training for model in models)
    assert vars(pipeline.scheduler).keys() == scheduler.keys()
    steps = "num_inference_steps"
    assert vars(pipeline.scheduler).get(steps) == scheduler.get(steps)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pipeline_in_bfloat16_takes_the_latents(name: str, made: Any) -> None:
    base, trained = made(name)
    pipeline = stock(base, dtype=torch.bfloat16)
    hypernetwork = hnbench.load_hypernetwork(trained, pipeline)
    noise = torch.randn(3, *hypernetwork.noise_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = images_of(pipeline, hypernetwork(noise, PROMPTS), hypernetwork.arguments)
        wide = stock(base)
        exact = hnbench.load_hypernetwork(trained, wide)
        expected = images_of(wide, exact(noise, PROMPTS), exact.arguments)
    assert (found.float() - expected).abs().mean() < 0.05


@pytest.fixture
def turbo(made: Any) -> tuple[Path, Path]:
    found: tuple[Path, Path] = made("stable-diffusion")
    return found


def test_other_weights_are_refused(turbo: tuple[Path, Path], tmp_path: Path) -> None:
    other = stock(turbo[0])
    with seeded(5), torch.no_grad():
        other.unet.conv_in.weight.add_(torch.randn(()))
    other.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"was trained for the generator .* with fingerprint"):
        hnbench.load_hypernetwork(turbo[1], stock(tmp_path))


def test_weights_of_unknown_origin_are_a_warning(turbo: tuple[Path, Path]) -> None:
    base, trained = turbo
    for pipeline in (FAMILIES["stable-diffusion"].build(), stock(base)):
        # Timesteps that begin elsewhere would give the hypernetwork another input.
        pipeline.scheduler = EulerDiscreteScheduler(timestep_spacing="leading")
        with pytest.warns(UserWarning, match="parts are not all as one folder or repository has"):
            hnbench.load_hypernetwork(trained, pipeline)


def test_a_part_from_elsewhere_makes_the_origin_unknown(
    turbo: tuple[Path, Path], tmp_path: Path
) -> None:
    base, trained = turbo
    shutil.copytree(base, tmp_path / "copy")
    with pytest.warns(UserWarning, match="parts are not all as one folder"):
        hnbench.load_hypernetwork(trained, stock(base, vae=stock(tmp_path / "copy").vae))


def test_a_copy_of_the_same_files_is_the_same_model(
    turbo: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(turbo[0], tmp_path / "copy")
    hnbench.load_hypernetwork(turbo[1], stock(tmp_path / "copy"))


def test_a_commit_in_the_cache_is_known_by_its_name(
    turbo: tuple[Path, Path], tmp_path: Path
) -> None:
    from hnbench.seeds import digest

    commit = "c" * 40
    snapshot = tmp_path / "models--owner--turbo" / "snapshots" / commit
    shutil.copytree(turbo[0], snapshot)
    trained = tmp_path / "adapter"
    shutil.copytree(turbo[1], trained)
    for repo, variants in (("owner/turbo", None), ("owner/turbo", "fp16"), ("owner/other", None)):
        known = digest({"pipeline": f"{repo}@{commit}"})
        parts = ("text_encoder", "unet", "vae")
        description = json.loads((trained / "hnbench.json").read_text())
        description["generator"]["fingerprint"] = (
            digest([known, dict.fromkeys(parts, variants)]) if variants else known
        )
        (trained / "hnbench.json").write_text(json.dumps(description))
        if repo == "owner/turbo":
            hnbench.load_hypernetwork(trained, stock(snapshot))
        else:
            with pytest.raises(UsageError, match="with fingerprint"):
                hnbench.load_hypernetwork(trained, stock(snapshot))


def test_a_folder_with_variants_only(tmp_path: Path) -> None:
    FAMILIES["stable-diffusion"].build().save_pretrained(tmp_path / "base", variant="fp16")
    trained = adapter("stable-diffusion", tmp_path / "base", tmp_path / "lora")
    hnbench.load_hypernetwork(trained, stock(tmp_path / "base", variant="fp16"))


def test_what_cannot_be_used_is_refused(turbo: tuple[Path, Path], tmp_path: Path) -> None:
    base, trained = turbo
    with pytest.raises(UsageError, match=r"the pipeline is a list, which is not supported; give"):
        hnbench.load_hypernetwork(trained, [])
    with pytest.raises(UsageError, match="the pipeline has no text_encoder; load the whole"):
        hnbench.load_hypernetwork(trained, stock(base, text_encoder=None))
    with pytest.raises(UsageError, match="there is no folder nothing/here"):
        hnbench.load_hypernetwork("nothing/here", stock(base))
    hypernetwork = hnbench.load_hypernetwork(trained, stock(base))
    for noise, prompt in (
        (torch.zeros(2, 4, 8, 8), PROMPTS),
        (torch.zeros(1, 4, 9, 8), "a ring"),
        (torch.zeros(1, 4, 8, 8, dtype=torch.int64), "a ring"),
        (torch.zeros(0, 4, 8, 8), "a ring"),
    ):
        with pytest.raises(UsageError, match=r"`noise` was torch\..*, give torch.randn\("):
            hypernetwork(noise, prompt)
    shutil.copytree(trained, tmp_path / "lora")
    description = json.loads((trained / "hnbench.json").read_text())
    for changes, message in (
        ({"config": {"image_size": "huge"}}, "cannot be used: Expected `int | null`"),
        ({"kind": "finetune"}, "is an adapter of kind 'finetune'; 'hypernoise' is needed"),
    ):
        (tmp_path / "lora" / "hnbench.json").write_text(json.dumps(description | changes))
        with pytest.raises(UsageError, match=message.replace("|", r"\|")):
            hnbench.load_hypernetwork(tmp_path / "lora", stock(base))


def test_a_shared_pipeline_may_have_its_decoder_in_half_precision(made: Any) -> None:
    pipeline = stock(made("stable-diffusion-xl")[0], dtype=torch.float16)
    around(pipeline, "weights")
    assert pipeline.vae.dtype == torch.float16
