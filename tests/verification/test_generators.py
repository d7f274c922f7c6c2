"""Checks of generators against the stand-in Hub: equal as the package is, and different with each
fault planted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline, StableDiffusionXLPipeline
from torch import Tensor

from hnbench.catalogue import registry
from hnbench.generators import flux2_klein, pipeline, pixart, sana_sprint
from hnbench.generators.base import Conditioning
from hnbench.generators.flux import FluxGenerator
from hnbench.generators.flux2_klein import Flux2KleinGenerator
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.samplers import Sampler
from hnbench.generators.sources import FLUX_SCHNELL, SDXL_TURBO
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.generators.stable_diffusion_3 import StableDiffusion3Generator
from hnbench.generators.stable_diffusion_xl import StableDiffusionXLGenerator
from hnbench.generators.z_image import ZImageGenerator
from hnbench.verification.check import CheckResult, run_check
from hnbench.verification.reference import Reference, all_references
from hnbench.weights.quiet import quiet_loading
from tests.standin.hub import StandInHub
from tests.standin.test_generators import MULTIPLES

KNOWN = {one.name: one for one in all_references()}
STOCK = [one for one in all_references() if one.function.endswith(":stock_pipeline")]


def small(reference: Reference) -> Reference:
    """Some models' own size is the published one; these weights draw any."""
    return (
        replace(reference, given={**reference.given, "image_size": 16})
        if reference.component in MULTIPLES
        else reference
    )


def checked(name: str, dtype: str = "float32") -> CheckResult:
    return run_check(small(KNOWN[name]), "cpu", dtype, slow=True)


def test_every_published_generator_has_a_check() -> None:
    assert {one.component for one in STOCK} >= {
        entry.name for entry in registry.GENERATORS.built_in
    }


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", [one.name for one in STOCK])
def test_the_stock_pipeline_of_the_same_files_draws_the_same(name: str) -> None:
    result = checked(name)
    assert (result.verdict, result.why) == ("equal", ""), result.worst
    assert len(result.comparisons) == 2 * len(KNOWN[name].given["steps"])
    assert result.fingerprints.keys() == {KNOWN[name].component}


@pytest.mark.usefixtures("published")
def test_in_bfloat16_too() -> None:
    assert checked("sd-turbo-stock-pipeline", "bfloat16").verdict == "equal"


def scaled(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Any],
    change: Callable[[Tensor], Tensor],
    method: str,
    place: int = 0,
) -> None:
    """Have a method of a generator get or give something else: `place` is the changed argument's,
    or -1 for the result's.
    """
    real = getattr(kind, method)

    def other(self: Any, *given: Any, **named: Any) -> Any:
        changed = [change(value) if index == place else value for index, value in enumerate(given)]
        result = real(self, *changed, **named)
        return change(result) if place < 0 else result

    monkeypatch.setattr(kind, method, other)


def shifted_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    real = StableDiffusionGenerator._encode
    monkeypatch.setattr(
        StableDiffusionGenerator,
        "_encode",
        lambda self, prompts: real(self, [prompt[1:] for prompt in prompts]),
    )


def lost_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    real = StableDiffusionXLGenerator._encode

    def encode(self: Any, prompts: list[str]) -> dict[str, Tensor]:
        found = real(self, prompts)
        return {**found, "pooled": torch.zeros_like(found["pooled"])}

    monkeypatch.setattr(StableDiffusionXLGenerator, "_encode", encode)


def all_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        PipelineGenerator,
        "_decoded",
        lambda _self, latents: latents.new_full((len(latents), 3, 16, 16), torch.nan),
    )


FAULTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a wrong timestep": ("pixart-dmd", lambda patch: patch.setattr(pixart, "FIRST_TIMESTEP", 390)),
    "noise scaled twice": (
        "sana-sprint-0.6b",
        lambda patch: scaled(patch, sana_sprint.SanaSprintGenerator, lambda x: 0.9 * x, "generate"),
    ),
    "no scaling factor": (
        "sd-turbo",
        lambda patch: patch.setattr(
            StableDiffusionGenerator, "_unscaled", lambda _, latents: latents
        ),
    ),
    "no shift factor": (
        "flux-schnell",
        lambda patch: scaled(patch, FluxGenerator, lambda x: x - 0.1159, "_decode"),
    ),
    "no mean of the batch norm": (
        "flux2-klein",
        lambda patch: scaled(patch, Flux2KleinGenerator, lambda x: x - 0.1, "_decode"),
    ),
    "a shift for another number of steps": (
        "flux2-klein-stock-pipeline-float32",
        lambda patch: patch.setattr(flux2_klein, "compute_empirical_mu", lambda *_: 1.0),
    ),
    "a timestep between 0 and 1": (
        "sd3.5-large-turbo",
        lambda patch: patch.setattr(
            StableDiffusion3Generator,
            "_velocity",
            lambda self, latents, time, text: self._denoise(latents, time / 1000, text),
        ),
    ),
    "half the time": (
        "z-image-turbo",
        lambda patch: patch.setattr(ZImageGenerator, "_denoise", _halved(ZImageGenerator._denoise)),
    ),
    "blue for red": (
        "sdxl-turbo",
        lambda patch: scaled(patch, PipelineGenerator, lambda x: x.flip(1), "_decode", -1),
    ),
    "another guidance": (
        "sana-sprint-1.6b",
        lambda patch: patch.setattr(sana_sprint, "GUIDANCE", 1.0),
    ),
    "a shifted token": ("sd-turbo", shifted_tokens),
    "no pooled text": ("sdxl-turbo", lost_pooled),
    "no image": ("sd-turbo", all_white),
    "a first timestep that is not the model's": (
        "sdxl-dmd2",
        lambda patch: patch.setattr(Sampler, "timesteps", lambda *_: [400]),
    ),
    "timesteps as the scheduler spaces them": (
        "sdxl-dmd2-4step-stock-pipeline-float32",
        lambda patch: patch.setattr(Sampler, "timesteps", lambda *_: None),
    ),
    "the base's scheduler": (
        "sdxl-lightning-stock-pipeline-float32",
        lambda patch: patch.setattr(Sampler, "scheduler_like", lambda _, base: base),
    ),
    "a lora that is not added": (
        "sdxl-lcm",
        lambda patch: patch.setattr(pipeline, "fuse_lora", lambda *_: None),
    ),
    "no noise between the steps": (
        "sdxl-tcd-stock-pipeline-float32",
        lambda patch: patch.setattr(
            StableDiffusionGenerator, "_eta", property(lambda _: 0.0, lambda *_: None)
        ),
    ),
    "another angle": (
        "sana-sprint-0.6b-stock-pipeline-float32",
        lambda patch: patch.setattr(sana_sprint, "BETWEEN_TWO_STEPS", 0.8),
    ),
}


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", [one.name for one in STOCK])
def test_every_check_sees_channels_in_another_order(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled(monkeypatch, PipelineGenerator, lambda image: image.flip(1), "_decode", -1)
    result = checked(name)
    assert (result.verdict, result.crashed) == ("differs", False), result.why


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = FAULTS[fault]
    plant(monkeypatch)
    result = checked(name if name in KNOWN else f"{name}-stock-pipeline")
    assert (result.verdict, result.crashed) == ("differs", False), result.why


def stock(folder: Any, kind: type[Any], **options: Any) -> Any:
    with quiet_loading():
        made = kind.from_pretrained(folder, local_files_only=True, **options)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.usefixtures("published")
def test_published_pixels_are_those_of_the_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = KNOWN["sdxl-turbo-cactus"]
    folder, _ = SDXL_TURBO.folders("float32")
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    given = {
        "latents": latents,
        "num_inference_steps": 1,
        "guidance_scale": 0.0,
        "output_type": "np",
    }
    image = stock(folder, StableDiffusionXLPipeline)(reference.given["prompt"], **given).images[0]
    expected = {
        str(place): float(value) for place, value in enumerate(image[-3:, -3:, -1].flatten())
    }
    made = replace(
        reference,
        expected=expected,
        given={**reference.given, "image_size": 16},
        tolerance={"float32": 1e-4},
    )
    assert run_check(made, "cpu", "float32", slow=True).verdict == "equal"
    scaled(monkeypatch, PipelineGenerator, lambda x: x.flip(1), "_decode", -1)
    assert run_check(made, "cpu", "float32", slow=True).verdict == "differs"


def test_published_pixels_of_published_embeddings(
    published: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = KNOWN["flux-schnell-nightly"]
    draw = torch.Generator().manual_seed(3)
    hidden, pooled = torch.randn(1, 12, 16, generator=draw), torch.randn(1, 16, generator=draw)
    folder = published.root / "datasets/diffusers/test-slices/main/flux"
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (("prompt_embeds", hidden), ("pooled_prompt_embeds", pooled)):
        torch.save(value, folder / f"{name}.pt")
    own, _ = FLUX_SCHNELL.folders("float32")
    latents = FluxPipeline._pack_latents(
        torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), 1, 4, 8, 8
    )
    text = {"prompt_embeds": hidden, "pooled_prompt_embeds": pooled, "latents": latents}
    image = stock(own, FluxPipeline)(
        **text, num_inference_steps=2, height=16, width=16, output_type="np"
    ).images[0]
    expected = {str(place): float(value) for place, value in enumerate(image[0, :10].flatten())}
    given = {**reference.given, "image_size": 16}
    made = replace(reference, expected=expected, given=given, tolerance={"float32": 1e-4})
    assert run_check(made, "cpu", "float32", slow=True).verdict == "equal"
    monkeypatch.setattr(FluxGenerator, "_denoise", _halved(FluxGenerator._denoise))
    assert run_check(made, "cpu", "float32", slow=True).verdict == "differs"


def _halved(real: Any) -> Any:
    def denoise(self: Any, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        found: Tensor = real(self, latents, time / 2, conditioning)
        return found

    return denoise


def test_what_cannot_be_downloaded_is_not_run(published: StandInHub) -> None:
    from tests.standin.hub import GATED

    published.faults["FLUX.1-schnell"] = GATED
    result = checked("flux-schnell-stock-pipeline")
    assert result.verdict == "not run"
    assert "is gated: accept its terms" in result.why
    assert not result.crashed


def test_a_gpu_is_asked_for() -> None:
    result = run_check(KNOWN["flux-schnell-stock-pipeline"], "cpu")
    assert (result.verdict, result.why) == (
        "not run",
        "it needs a GPU; on a CPU it takes hours, and slow checks must be allowed",
    )
