"""`hnbench.plan_training`: what a training will do, before it begins."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from rich import filesize

from hnbench.api.needs import model_downloads
from hnbench.api.operations import UnknownOperationsError
from hnbench.api.trackers import trackers_of
from hnbench.api.training_arrangement import arrange_training
from hnbench.api.training_operations import operations_of_training
from hnbench.catalogue.loading import check_device
from hnbench.display.screen import Screen
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.expected import (
    evaluations_of,
    expected_passes,
    held_out_of,
    trained_images,
)
from hnbench.hypernetwork.launch import launched
from hnbench.reports.costs import TFLOPS, with_unit
from hnbench.weights.pinned_files import nothing_downloaded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hnbench.api.needs import NeededDownload
    from hnbench.api.training_arrangement import TrainingArrangement

_KEPT = {"sgd": 1, "adamw": 2}
"""The numbers that an optimizer keeps for each weight."""


@dataclass(frozen=True)
class TrainingPlan:
    """A training that was not started."""

    folder: Path
    """The training's folder; it need not exist."""
    config: TrainingConfig
    """The effective configuration: the preset with what was asked for instead."""
    prompts: int | None
    """The number of distinct prompts; None if their files have not been downloaded yet."""
    passes: Mapping[str, int]
    """The expected passes of generator and reward, in images, evaluations included."""
    flops: int | None
    """The expected floating-point operations, evaluations included; None if nobody counted those of
    these models in advance.
    """
    downloads: tuple[NeededDownload, ...]
    """The models that do not come with hnbench; empty if nothing is needed."""
    lines: tuple[str, ...]
    """All of it for people, one fact per line."""


def plan_training(**asked: Any) -> TrainingPlan:
    """Tell what a training will do. Nothing is loaded, downloaded or written.

    The parameters are those of `hnbench.train`. Raises `UsageError` for arguments that cannot be
    used.
    """
    from hnbench.api.train import train

    bound = inspect.signature(train).bind(**asked)
    bound.apply_defaults()
    device, log, progress = (bound.arguments.pop(name) for name in ("device", "log", "progress"))
    check_device(device)
    trackers_of(log)
    launch = launched()
    with Screen(shown=progress and launch.main) as screen, nothing_downloaded():
        wanted = arrange_training(screen, **bound.arguments)
    launch.require_divisible(wanted.config.batch_size, wanted.config.accumulation)
    config = wanted.config
    models = tuple(
        one
        for one in model_downloads(config.generator, wanted.dtype, config.rewards)
        if one.bytes != 0
    )
    return TrainingPlan(
        wanted.folder,
        config,
        len(set(wanted.prompts)) or None,
        expected_passes(config, _held_out(wanted)),
        flops if isinstance(flops := _flops(wanted), int) else None,
        models,
        (*effective_lines(wanted, launch.count, device), f"downloads    {_downloads(models)}"),
    )


def effective_lines(wanted: TrainingArrangement, processes: int, device: str) -> list[str]:
    """The effective configuration of a training, one fact per line: a name of at most 12
    characters, and the fact.
    """
    config = wanted.config
    rewards = ", ".join(f"{weight:g} x {name}" for name, weight in config.rewards.items())
    facts = {
        "training": f"{config.kind} of {config.generator} ({wanted.dtype}, {device})",
        "preset": _preset(wanted),
        "rewards": rewards,
        "prompts": _prompts(wanted),
        **({"pairs": _pairs(config)} if config.kind == "regression" else {}),
        "images": _images(config, processes),
        "steps": _steps(config),
        "optimizer": _optimizer(config),
        "LoRA": _lora(config),
        "penalty": _penalty(config),
        "evaluation": (
            f"{evaluations_of(config):,} times, every {config.eval_every:,} steps, on"
            f" {_held_out(wanted)} prompts x {config.eval_samples} noises"
        ),
        "passes": _passes(wanted),
        "operations": _operations(wanted),
        "folder": f"{wanted.folder}{_state_of(wanted.folder)}",
        "disk": _disk(config),
    }
    return [f"{name:<12} {fact}" for name, fact in facts.items()]


def _preset(wanted: TrainingArrangement) -> str:
    """The preset's name, and what differs from it."""
    defaults = {item.name: item.default for item in fields(TrainingConfig)}
    own = {name: getattr(wanted.config, name) for name in defaults.keys() - set(_ASIDE)}
    differing = [
        f"{name} {value} instead of {expected}"
        for name, value in sorted(own.items())
        if value != (expected := wanted.published.get(name, defaults[name]))
    ]
    return "; ".join([wanted.preset or "none, so hnbench's own defaults", *differing])


_ASIDE = ("kind", "generator", "rewards", "prompts", "seed")
"""The fields of a configuration that no preset sets."""


def _prompts(wanted: TrainingArrangement) -> str:
    if not wanted.prompts:
        return f"{wanted.config.prompts}, which is downloaded first; their number is not known yet"
    count = len(set(wanted.prompts))
    held_out = held_out_of(count)
    split = f"{count - held_out:,} to train on, {held_out:,} held out" if count > 1 else "only one"
    return f"{wanted.config.prompts}: {split}"


def _held_out(wanted: TrainingArrangement) -> int:
    """The number of prompts in an evaluation. Of a set that is not here, there are enough."""
    most = wanted.config.eval_prompts
    return min(most, held_out_of(len(set(wanted.prompts)))) if wanted.prompts else most


def _images(config: TrainingConfig, processes: int) -> str:
    each = config.batch_size * config.accumulation
    shared = f", shared by {processes} processes" if processes > 1 else ""
    return (
        f"{each:,} a step = {config.batch_size} x {config.accumulation}"
        f" (batch x accumulation){shared}; {config.steps * each:,} in all"
    )


def _pairs(config: TrainingConfig) -> str:
    pairs = config.pairs or 0
    uses = trained_images(config) / pairs
    return (
        f"{pairs:,} of a noise and what ReNO finds from it ({config.reno_iterations} iterations,"
        f" learning rate {config.reno_learning_rate:g}), each used {uses:.3g} times"
    )


def _steps(config: TrainingConfig) -> str:
    warm_up = f", {config.warmup_steps:,} of them warm-up" if config.warmup_steps else ""
    return f"{config.steps:,}{warm_up}, seed {config.seed}; saved every {config.save_every:,}"


def _optimizer(config: TrainingConfig) -> str:
    momentum = f" with momentum {config.momentum:g}" if config.optimizer == "sgd" else ""
    return (
        f"{config.optimizer}{momentum}, learning rate {config.learning_rate:g} ({config.schedule}),"
        f" weight decay {config.weight_decay:g}, gradient clipped at {config.gradient_clip:g}"
    )


def _lora(config: TrainingConfig) -> str:
    layers = config.target_pattern or "every linear and convolution layer"
    return f"rank {config.rank}, alpha {config.lora_alpha:g}, {config.lora_dtype}, on {layers}"


def _penalty(config: TrainingConfig) -> str:
    if config.kind == "regression":
        return "none; the loss is the mean squared difference to what ReNO added to the noise"
    if config.kind == "finetune":
        return f"{config.image_penalty:g} x the mean squared change of the image"
    return (
        f"{config.regulariser_weight:g} x half the {config.regulariser_reduction} of the squared"
        " change of the noise"
    )


def _passes(wanted: TrainingArrangement) -> str:
    found = expected_passes(wanted.config, _held_out(wanted))
    return "; ".join(
        f"{model} {found[f'{model}_forward']:,} forward, {found[f'{model}_backward']:,} backward"
        for model in ("generator", "reward")
    )


def _flops(wanted: TrainingArrangement) -> int | str:
    """The floating-point operations, or the reason why they are not known."""
    try:
        return operations_of_training(wanted.config, _held_out(wanted))
    except UnknownOperationsError as reason:
        return str(reason)


def _operations(wanted: TrainingArrangement) -> str:
    flops = _flops(wanted)
    if isinstance(flops, str):
        return f"unknown ({flops})"
    return f"{with_unit(TFLOPS, flops / 1e12)}, counted in advance for these models"


def _state_of(folder: Path) -> str:
    """A remark on what the folder holds already."""
    if (folder / "adapter").exists():
        return ", which is finished"
    return ", to be continued" if any((folder / "state").glob("step-*")) else ""


def _disk(config: TrainingConfig) -> str:
    bytes_each = 4 if config.lora_dtype == "float32" else 2
    copies = 1 + _KEPT[config.optimizer] + (config.kind == "finetune")
    pairs = (
        f"; pairs: 4 bytes for each number of {config.pairs:,} noises, which are kept"
        if config.pairs
        else ""
    )
    return (
        f"adapter: {bytes_each} bytes for each weight of the LoRA; while it trains, a state of"
        f" {copies} times that{pairs}"
    )


def _downloads(models: tuple[NeededDownload, ...]) -> str:
    missing = [one for one in models if not one.cached]
    return (
        ", ".join(
            f"{one.name} {'unknown' if one.bytes is None else filesize.decimal(one.bytes)}"
            for one in missing
        )
        or "nothing"
    )
