"""The presets name things that exist and agree with each other."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from hnbench.hypernetwork.config import TrainingConfig
from hnbench.presets import Preset, preset_of
from hnbench.registry import GENERATORS, METHODS, REWARDS, SUITES

PRESETS = [(entry.name, preset_of(entry.name)) for entry in GENERATORS.built_in]
each = pytest.mark.parametrize(("generator", "preset"), PRESETS, ids=[name for name, _ in PRESETS])


@each
def test_rewards_and_suite_are_known(generator: str, preset: Preset) -> None:
    for name in (*preset.optimised, *preset.held_out):
        REWARDS.entry(name)
    if preset.suite:
        SUITES.entry(preset.suite)


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
    for kind, settings in preset.training.items():
        assert set(settings) <= {item.name for item in fields(TrainingConfig)}
        arguments: Any = {"kind": kind, "generator": generator, "rewards": dict(preset.optimised), "prompts": "p", **settings}
        TrainingConfig(**arguments)


@each
def test_training_prompts_can_be_read(generator: str, preset: Preset) -> None:
    if preset.training_prompts:
        prompts = EntryPoint("prompts", preset.training_prompts, "").load()()
        assert all(isinstance(prompt, str) and prompt.strip() for prompt in prompts)
        assert prompts


@each
def test_adapters_that_come_with_hnbench_are_whole(generator: str, preset: Preset) -> None:
    kinds = {entry.adapter for entry in METHODS.built_in if entry.adapter}
    assert set(preset.adapters) <= kinds
    for folder in preset.adapters.values():
        assert (folder / "adapter_model.safetensors").is_file()


def test_a_generator_without_a_preset_has_an_empty_one() -> None:
    assert preset_of("unheard-of") == Preset()
