"""The presets name things that exist and agree with each other."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from hnbench.catalogue.presets import PRESETS, Preset, preset_of
from hnbench.catalogue.registry import GENERATORS, MEASURES, METHODS, PROMPTS, REWARDS, SUITES
from hnbench.hypernetwork.config import OF_REGRESSION, TrainingConfig
from hnbench.weights.hub import Source

each = pytest.mark.parametrize(("generator", "preset"), PRESETS.items(), ids=list(PRESETS))


def test_every_preset_is_of_a_built_in_generator() -> None:
    assert set(PRESETS) <= {entry.name for entry in GENERATORS.built_in}


@each
def test_rewards_and_suite_are_known(generator: str, preset: Preset) -> None:
    for name in (*preset.optimised, *preset.held_out):
        REWARDS.entry(name)
    if preset.suite:
        SUITES.entry(preset.suite)
    for name in preset.measures:
        MEASURES.entry(name)


@each
def test_nothing_is_both_optimised_and_held_out(generator: str, preset: Preset) -> None:
    assert not set(preset.optimised) & set(preset.held_out)


@each
def test_parameters_are_those_of_the_methods(generator: str, preset: Preset) -> None:
    for name, parameters in preset.parameters.items():
        factory: Any = METHODS.get(name)
        factory(**parameters)


@each
def test_training_settings_make_a_valid_configuration(generator: str, preset: Preset) -> None:
    for trainings in preset.trainings.values():
        for kind, settings in trainings.items():
            assert set(settings) <= {item.name for item in fields(TrainingConfig)}
            arguments: Any = {
                "kind": kind,
                "generator": generator,
                "rewards": dict(preset.optimised),
                "prompts": "p",
                **(OF_REGRESSION if kind == "regression" else {}),
                **settings,
            }
            TrainingConfig(**arguments)


@each
def test_training_prompts_are_a_known_set(generator: str, preset: Preset) -> None:
    if preset.training_prompts:
        PROMPTS.entry(preset.training_prompts)


@each
def test_adapters_that_come_with_hnbench_are_whole(generator: str, preset: Preset) -> None:
    kinds = {entry.adapter for entry in METHODS.built_in if entry.adapter}
    assert set(preset.adapters) <= kinds
    for adapter in preset.adapters.values():
        if isinstance(adapter, Path):
            assert (adapter / "adapter_model.safetensors").is_file()
        else:
            assert str(Source.parse(adapter)) == adapter


def test_a_generator_without_a_preset_has_an_empty_one() -> None:
    assert preset_of("unheard-of") == Preset()


# generator, preset, then as published: learning rate, clip, alpha, images per optimizer step,
# epochs, reduction.
# arXiv 2508.09968, Table 4; the scripts of ExplainableML/HyperNoise, but for SD-Turbo's epochs
# (100,000 there).
PUBLISHED = [
    ("sd-turbo", "paper", 1e-3, 1.0, 256, 48, 25, "sum"),
    ("sd-turbo", "code", 1e-3, 10.0, 128, 18, 25, "mean"),
    ("sana-sprint-0.6b", "paper", 1e-3, 1.0, 256, 54, 25, "sum"),
    ("sana-sprint-0.6b", "code", 1e-3, 1.0, 256, 54, 30, "mean"),
    ("flux-schnell", "paper", 2e-5, 1.0, 5, 28, 25, "sum"),
    ("flux-schnell", "code", 2e-5, 1.0, 640, 28, 30, "mean"),
]
BATCHES = {
    "sd-turbo": {"paper": (48, 1), "code": (18, 1)},
    "sana-sprint-0.6b": (18, 3),
    "flux-schnell": (7, 4),
}
"""The published batch over all GPUs and the batches per optimizer step."""


@pytest.mark.parametrize("kind", ["hypernoise", "finetune"])
@pytest.mark.parametrize(
    ("generator", "name", "rate", "clip", "alpha", "images", "epochs", "reduction"), PUBLISHED
)
def test_the_published_values(
    generator: str,
    name: str,
    rate: float,
    clip: float,
    alpha: float,
    images: int,
    epochs: int,
    reduction: str,
    kind: str,
) -> None:
    settings = preset_of(generator).trainings[name][kind]
    config = TrainingConfig(
        kind=kind,  # type: ignore[arg-type]
        generator=generator,
        rewards={"r": 1.0},
        prompts="p",
        **settings,
    )
    assert (config.learning_rate, config.gradient_clip, config.rank, config.lora_alpha) == (
        rate,
        clip,
        128,
        alpha,
    )
    assert config.batch_size * config.accumulation == images
    batches: Any = BATCHES[generator]
    batch, accumulation = batches[name] if isinstance(batches, dict) else batches
    # An epoch of 70,294 prompts, its last incomplete batch left out.
    assert config.steps == epochs * (70_294 // batch // accumulation)
    assert config.lora_dtype == "float32"
    if kind == "hypernoise":
        assert (config.regulariser_reduction, config.regulariser_weight) == (reduction, 1.0)
    else:
        assert config.image_penalty == 0


def test_the_code_s_values_come_first() -> None:
    assert {next(iter(preset_of(generator).trainings)) for generator in BATCHES} == {"code"}


@pytest.mark.parametrize(
    ("generator", "rate"),
    [
        ("sd-turbo", 5),
        ("flux-schnell", 5),
        ("sana-sprint-0.6b", 10),
        ("sana-sprint-1.6b", 10),
        ("z-image-turbo", 10),
        ("flux2-klein", 10),
        ("sd3.5-large-turbo", 10),
    ],
)
def test_reno_steps_by_the_size_of_the_image(generator: str, rate: float) -> None:
    assert (
        METHODS.get("reno")(**preset_of(generator).parameters.get("reno", {})).identity()[
            "learning_rate"
        ]
        == rate
    )
