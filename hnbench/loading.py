"""From names to loaded models: what `run`, `train` and `diagnose` have in common."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hnbench import registry
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.presets import Preset
    from hnbench.rewards.base import Mixture, Reward

Dtype = Literal["float32", "bfloat16", "float16"]


def choose_device(name: str) -> str:
    """The torch device of a name; `"auto"` is CUDA where there is any. A device that is not there is a `UsageError`."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise UsageError(f"device {name!r} is unknown; choose auto, cpu, cuda or, of several GPUs, for example cuda:1")
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"the device was {name!r}, but torch finds {torch.cuda.device_count()} CUDA devices; type --device cpu or auto")
    return name


def parse_weights(typed: Sequence[str], default: Mapping[str, float], generator: str) -> dict[str, float]:
    """What to optimise: `NAME=WEIGHT` as typed, or the preset's where nothing was typed. Every name is known afterwards."""
    weights = dict(default)
    if typed:
        weights = dict(_name_and_weight(text) for text in typed)
    if not weights:
        raise UsageError(f"the generator {generator!r} has no preset; say what to optimise, for example --optimise redness=1.0")
    for name in weights:
        registry.REWARDS.entry(name)
    return weights


def _name_and_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value == 0:
        raise UsageError(f"--optimise was {text!r}; it must be NAME=WEIGHT with a weight that is not zero, for example redness=1.0")
    return name, value


def load_generator(name: str, device: str, dtype: str) -> Generator:
    """Load a generator onto a device."""
    generator: Generator = registry.GENERATORS.get(name)(device=device, dtype=dtype)
    return generator


def load_reward(name: str, device: str, dtype: str) -> Reward:
    """Load a reward onto a device."""
    reward: Reward = registry.REWARDS.get(name)(device=device, dtype=dtype)
    return reward


def load_mixture(weights: Mapping[str, float], device: str, dtype: str) -> Mixture:
    """Load all rewards that are optimised."""
    from hnbench.rewards.base import Mixture

    return Mixture({name: (load_reward(name, device, dtype), weight) for name, weight in weights.items()})


def make_methods(specifications: Sequence[str], preset: Preset, adapters: Mapping[str, Path]) -> tuple[Method, ...]:
    """The methods of specifications; `adapters` are the folders of trained adapters by kind of training."""
    return tuple(registry.make_method(text, _defaults(text, preset, adapters)) for text in specifications)


def _defaults(specification: str, preset: Preset, adapters: Mapping[str, Path]) -> dict[str, Any]:
    name, typed = registry.parse_method(specification)
    kind = registry.METHODS.entry(name).adapter
    defaults = dict(preset.parameters.get(name, {}))
    if kind and "adapter" not in typed:
        if kind not in adapters:
            option = {"hypernoise": "--hypernetwork", "finetune": "--finetuned"}[kind]
            raise UsageError(f"the method {name!r} needs an adapter; give {option} FOLDER, or train one: hnbench train --kind {kind}")
        defaults["adapter"] = adapters[kind]
    return defaults


def prepare_adapters(methods: Sequence[Method], generator: Generator, prompts: Mapping[str, str]) -> dict[str, Any]:
    """Put the built-in methods' adapters onto the generator, so that a wrong one is refused before any work.

    The result is what their training took, by kind of training, and as `seen_prompts` which of `prompts` (id -> text) it saw: their
    ids, or None where the adapter does not say.
    """
    from hnbench.hypernetwork.checkpoint import attach, training_cost
    from hnbench.hypernetwork.seen import seen_prompts

    costs: dict[str, Any] = {}
    for method in methods:
        kind = registry.METHODS.entry(method.name).adapter
        if kind:
            folder: Path = getattr(method, "adapter")  # noqa: B009 - only these methods have one
            attach(generator, folder, kind)
            costs.setdefault(kind, {**training_cost(folder), "seen_prompts": seen_prompts(folder, prompts)})
    return costs


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of a text file, one per line; empty lines are left out. A file without any is a `UsageError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the prompt file {path} cannot be read ({_reason(error)}); give a UTF-8 text file with one prompt per line"
        ) from error
    prompts = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not prompts:
        raise UsageError(f"the prompt file {path} has no prompt; write one per line")
    return prompts


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
