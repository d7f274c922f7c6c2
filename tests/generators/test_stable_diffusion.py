"""The adapter against diffusers' own pipeline, on tiny random models of the real classes."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    SchedulerMixin,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from hnbench.errors import UsageError
from hnbench.fingerprint import fingerprint_of
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.shapes.training import tokenizer as vocabulary
from hnbench.shapes.training.denoiser import scheduler

PROMPTS = ["a photo of a red circle", "a photo of two stars", "a photo of a heart above a ring"]


def turbo_scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="trailing",
        prediction_type="epsilon",
        steps_offset=1,
    )


def save_pipeline(folder: Path, scheduler: SchedulerMixin) -> Path:
    torch.manual_seed(0)
    tokenizer = vocabulary.build()
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        scaling_factor=0.18215,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("turbo"), turbo_scheduler())


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("direct"), scheduler())


def noise() -> Tensor:
    return torch.randn(len(PROMPTS), 4, 8, 8, generator=torch.Generator().manual_seed(1))


def stock_images(folder: Path, steps: int) -> Tensor:
    pipeline: Any = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    images: Tensor = pipeline(PROMPTS, latents=noise(), num_inference_steps=steps, guidance_scale=0.0, output_type="pt").images
    return images


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("family", ["turbo", "direct"])
def test_images_equal_the_stock_pipelines(family: str, steps: int, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(family)
    generator = StableDiffusionGenerator.from_folder(folder, name="tiny")
    with torch.no_grad():
        ours = generator.generate(noise(), generator.encode(PROMPTS), steps)
    assert ours.shape == (3, 3, 16, 16)
    torch.testing.assert_close(ours, stock_images(folder, steps), atol=1e-4, rtol=0)


def test_one_step_of_sd_turbo_is_its_closed_form(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    conditioning = generator.encode(PROMPTS)
    with torch.no_grad():
        scaled = generator.backbone(0.99767 * noise(), 999.0, encoder_hidden_states=conditioning.tensors["hidden_states"]).sample
        latents = 14.6146 * (noise() - scaled)
        expected = (generator.decoder.decode(latents / 0.18215).sample / 2 + 0.5).clamp(0, 1)
        torch.testing.assert_close(generator.generate(noise(), conditioning), expected, atol=2e-4, rtol=0)


def test_prediction_is_the_raw_network_at_the_first_timestep(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    conditioning = generator.encode(PROMPTS)
    expected = generator.backbone(noise(), 999.0, encoder_hidden_states=conditioning.tensors["hidden_states"]).sample
    torch.testing.assert_close(generator.predict(noise(), conditioning), expected)


def test_image_is_differentiable_in_the_noise_alone(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    start = noise().requires_grad_()
    generator.generate(start, generator.encode(PROMPTS)).sum().backward()  # type: ignore[no-untyped-call]
    assert start.grad is not None
    assert start.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in generator.backbone.parameters())


def test_gradient_equals_finite_differences(direct: Path) -> None:
    # not with the Euler scheduler, which computes in float32 whatever it is given
    generator = StableDiffusionGenerator.from_folder(direct, name="tiny", dtype=torch.float64)
    conditioning = generator.encode(PROMPTS[:1])
    weights = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def objective(start: Tensor) -> Tensor:
        return (generator.generate(start, conditioning) * weights).sum()

    start = noise()[:1].double().requires_grad_()
    (slope,) = torch.autograd.grad(objective(start), start)
    direction = torch.randn(start.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad():
        numeric = (objective(start + 1e-6 * direction) - objective(start - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((slope * direction).sum(), numeric, rtol=1e-4, atol=1e-6)


def test_a_prompt_is_encoded_once(turbo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    first = generator.encode(PROMPTS)
    monkeypatch.setattr(generator, "_encode", None)
    again = generator.encode([PROMPTS[2], PROMPTS[0], PROMPTS[2]])
    torch.testing.assert_close(again.tensors["hidden_states"], first[[2, 0, 2]].tensors["hidden_states"], rtol=0, atol=0)


def test_a_very_long_prompt_is_cut_as_the_tokenizer_cuts_it(turbo: Path) -> None:
    generator = StableDiffusionGenerator.from_folder(turbo, name="tiny")
    assert generator.encode(["a red circle " * 800]).tensors["hidden_states"].shape == (1, 16, 32)


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
