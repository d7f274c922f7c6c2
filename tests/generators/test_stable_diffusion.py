"""The adapter against diffusers' own pipeline, on tiny random models of the real classes."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.shapes_training.denoiser import scheduler
from hnbench.weights.fingerprint import fingerprint_of
from tests import tiny

PROMPTS = ["a photo of a red circle", "a photo of two stars", "a photo of a heart above a ring"]


def save(folder: Path, scheduler: Any = None) -> Path:
    tiny.stable_diffusion(scheduler).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("turbo"))


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("direct"), scheduler())


def noise() -> Tensor:
    return torch.randn(len(PROMPTS), 4, 8, 8, generator=torch.Generator().manual_seed(1))


def stock_images(folder: Path, steps: int) -> Tensor:
    pipeline: Any = StableDiffusionPipeline.from_pretrained(
        folder, safety_checker=None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    images: Tensor = pipeline(
        PROMPTS, latents=noise(), num_inference_steps=steps, guidance_scale=0.0, output_type="pt"
    ).images
    return images


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("family", ["turbo", "direct"])
def test_images_equal_the_stock_pipelines(
    family: str, steps: int, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(family)
    generator = StableDiffusionGenerator.from_folder(folder, name="tiny")
    with torch.no_grad():
        ours = generator.generate(
            noise(), generator.encode(PROMPTS).seeded((1, 2, 3)[: len(PROMPTS)]), steps
        )
    assert ours.shape == (3, 3, 16, 16)
    torch.testing.assert_close(ours, stock_images(folder, steps), atol=1e-4, rtol=0)


def test_one_step_of_sd_turbo_is_its_closed_form(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    conditioning = generator.encode(PROMPTS)
    with torch.no_grad():
        scaled = generator.backbone(
            0.99767 * noise(), 999.0, encoder_hidden_states=conditioning.tensors["hidden_states"]
        ).sample
        latents = 14.6146 * (noise() - scaled)
        expected = (generator.decoder.decode(latents / 0.18215).sample / 2 + 0.5).clamp(0, 1)
        torch.testing.assert_close(
            generator.generate(noise(), conditioning), expected, atol=2e-4, rtol=0
        )


def test_prediction_is_the_raw_network_at_the_first_timestep(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    conditioning = generator.encode(PROMPTS)
    expected = generator.backbone(
        noise(), 999.0, encoder_hidden_states=conditioning.tensors["hidden_states"]
    ).sample
    torch.testing.assert_close(generator.predict(noise(), conditioning), expected)


def test_image_is_differentiable_in_the_noise_alone(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    start = noise().requires_grad_()
    generator.generate(start, generator.encode(PROMPTS)).sum().backward()  # type: ignore[no-untyped-call]
    assert start.grad is not None
    assert start.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    assert all(
        parameter.grad is None and not parameter.requires_grad
        for parameter in generator.backbone.parameters()
    )


def test_gradient_equals_finite_differences(direct: Path) -> None:
    # not with the Euler scheduler, which computes in float32 whatever it is given
    generator = StableDiffusionGenerator.from_folder(direct, name="tiny", dtype=torch.float64)
    conditioning = generator.encode(PROMPTS[:1])
    weights = torch.randn(
        3, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )

    def objective(start: Tensor) -> Tensor:
        return (generator.generate(start, conditioning) * weights).sum()

    start = noise()[:1].double().requires_grad_()
    (slope,) = torch.autograd.grad(objective(start), start)
    direction = torch.randn(
        start.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    with torch.no_grad():
        numeric = (objective(start + 1e-6 * direction) - objective(start - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((slope * direction).sum(), numeric, rtol=1e-4, atol=1e-6)


def test_a_prompt_is_encoded_once(turbo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    first = generator.encode(PROMPTS)
    monkeypatch.setattr(generator, "_encode", None)
    again = generator.encode([PROMPTS[2], PROMPTS[0], PROMPTS[2]])
    torch.testing.assert_close(
        again.tensors["hidden_states"], first[[2, 0, 2]].tensors["hidden_states"], rtol=0, atol=0
    )


def test_a_very_long_prompt_is_cut_as_the_tokenizer_cuts_it(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    assert generator.encode(["a red circle " * 800]).tensors["hidden_states"].shape == (1, 40, 16)


def test_fingerprint_follows_the_weights(turbo: Path, direct: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    for path in turbo.rglob("*"):
        if path.is_file():
            (copied / path.relative_to(turbo)).parent.mkdir(parents=True, exist_ok=True)
            (copied / path.relative_to(turbo)).write_bytes(path.read_bytes())
    assert fingerprint_of(copied) == fingerprint_of(turbo)
    (copied / "README.md").write_text("a card")
    assert fingerprint_of(copied) == fingerprint_of(turbo)
    config = copied / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "changed": 1}))
    assert len({fingerprint_of(copied), fingerprint_of(turbo), fingerprint_of(direct)}) == 3


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model_index\.json"):
        StableDiffusionGenerator.from_folder(tmp_path, name="nothing")
    gc.collect()
