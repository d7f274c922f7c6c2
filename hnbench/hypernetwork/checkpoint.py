"""Adapters on disk: a folder that peft can load, with what hnbench has to know of it beside the weights.

    adapter_model.safetensors   the LoRA weights, named as peft names them: base_model.model.<layer>.lora_A.weight
    adapter_config.json         peft's LoraConfig
    hnbench.json                kind, generator, training configuration and cost, last evaluation
    README.md                   the same for people
    prompts.sha256              hashes of the prompts that the training saw

Reading the description and the weights' hash needs no torch. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hnbench.errors import StoreError, UsageError
from hnbench.hypernetwork.seen import write_hashes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from hnbench.generators.base import Generator
    from hnbench.hypernetwork.adapter import LoraAdapter

SCHEMA = 1
WEIGHTS, CONFIG, DESCRIPTION = "adapter_model.safetensors", "adapter_config.json", "hnbench.json"
OFFICIAL_WEIGHTS = "adapter_model.bin"
"""What the official training code writes instead of safetensors, with layer names that lack peft's prefix."""
PREFIX = "base_model.model."
UNSUPPORTED = ("use_dora", "use_rslora", "lora_bias", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "modules_to_save")
"""Options of peft that change what LoRA computes, and that no adapter trained here uses."""


def save_adapter(
    folder: Path, adapter: LoraAdapter, backbone: nn.Module, description: Mapping[str, Any], prompts: Sequence[str] = ()
) -> None:
    """Write an adapter's folder whole or not at all; one that is there is replaced. `prompts` are those that the training saw."""
    from safetensors.torch import save_file

    from hnbench.hypernetwork.adapter import lora_config

    working = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    save_file({PREFIX + name: tensor for name, tensor in adapter.state_dict().items()}, working / WEIGHTS, metadata={"format": "pt"})
    lora_config(backbone, adapter.settings, adapter.targets).save_pretrained(str(working))
    written = {"schema": SCHEMA, **description}
    (working / DESCRIPTION).write_text(json.dumps(written, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    (working / "README.md").write_text(_card(written), encoding="utf-8")
    if prompts:
        write_hashes(working, prompts)
    for path in working.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    working.replace(folder)


def describe_adapter(folder: Path) -> dict[str, Any]:
    """The contents of hnbench.json. A missing or damaged one is a `UsageError`, a newer one a `StoreError`."""
    path = folder / DESCRIPTION
    description = _read_json(path)
    if description is None:
        raise UsageError(f"{folder} is no trained adapter: it has no {DESCRIPTION}; give the folder 'adapter' of a training")
    if description.get("schema", 0) > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer hnbench (schema {description['schema']}, this one reads up to {SCHEMA}); update hnbench"
        )
    return description


def training_cost(folder: Path) -> dict[str, Any]:
    """What the training took: seconds, steps, images, passes of generator and reward, device; empty for a foreign adapter."""
    if not (folder / DESCRIPTION).is_file():
        return {}
    cost: dict[str, Any] = describe_adapter(folder).get("training", {})
    return cost


def adapter_sha256(folder: Path) -> str:
    """The SHA-256 of the file with the weights; hashed once per version of the file."""
    return _hash(*_version(_weights_file(folder)))


def load_adapter(folder: Path, generator: Generator, kind: str) -> LoraAdapter:
    """An adapter of this kind (`"hypernoise"`, `"finetune"`), strictly: every weight is used and none is left out.

    An adapter of another kind, generator or shape is a `UsageError`. A folder without hnbench.json (the published
    hypernetworks) counts as `"hypernoise"`, and is checked by names and shapes alone.
    """
    from hnbench.hypernetwork.adapter import LoraAdapter

    weights = _weights_file(folder)
    if (folder / DESCRIPTION).is_file():
        _check(folder, describe_adapter(folder), generator, kind)
    elif kind != "hypernoise":
        raise UsageError(f"{folder} has no {DESCRIPTION}, so it counts as a noise hypernetwork and not as {kind}")
    state = {name.removeprefix(PREFIX): tensor for name, tensor in _read_weights(weights).items()}
    targets = _targets(folder, state, generator)
    try:
        adapter = LoraAdapter(generator.backbone, _settings(folder), targets)
        adapter.load_state_dict(state)
    except UsageError as error:
        raise UsageError(f"{folder}: {error}") from error
    return adapter


_attached: WeakKeyDictionary[nn.Module, dict[tuple[str, tuple[str, int, int]], LoraAdapter]] = WeakKeyDictionary()


def attach(generator: Generator, folder: Path, kind: str) -> LoraAdapter:
    """`load_adapter`, once per backbone and version of the weights: asking again costs a look at the file's time and size."""
    known = _attached.setdefault(generator.backbone, {})
    key = (kind, _version(_weights_file(folder)))
    if key not in known:
        known[key] = load_adapter(folder, generator, kind)
    return known[key]


def release(generator: Generator) -> None:
    """Forget the adapters attached to a generator, and with them their memory. Its backbone is as it was in any case."""
    _attached.pop(generator.backbone, None)


def _version(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return str(path.resolve()), stat.st_mtime_ns, stat.st_size


@lru_cache
def _hash(path: str, _time: int, _size: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _weights_file(folder: Path) -> Path:
    for name in (WEIGHTS, OFFICIAL_WEIGHTS):
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder} holds no adapter: {WEIGHTS} is missing; give the folder 'adapter' of a training")


def _read_weights(path: Path) -> dict[str, Tensor]:
    from pickle import UnpicklingError  # what torch raises when it refuses to unpickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.name == WEIGHTS:
            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise UsageError(f"{path} cannot be read as weights: {error}") from error
    return state


def _read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no such file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no JSON object")
    return value


def _check(folder: Path, description: Mapping[str, Any], generator: Generator, kind: str) -> None:
    if description.get("kind") != kind:
        raise UsageError(f"{folder} is an adapter of kind {description.get('kind')!r}; {kind!r} is needed here")
    trained = description.get("generator", {})
    if tuple(trained.get("noise_shape", ())) != tuple(generator.noise_shape):
        raise UsageError(
            f"{folder} was trained for the generator {trained.get('name')!r} with noise {trained.get('noise_shape')}; "
            f"{generator.name!r} has noise {list(generator.noise_shape)}"
        )
    if trained.get("fingerprint") != generator.fingerprint:
        raise UsageError(
            f"{folder} was trained for the generator {trained.get('name')!r} with fingerprint {str(trained.get('fingerprint'))[:12]}; "
            f"this {generator.name!r} has fingerprint {generator.fingerprint[:12]}; train an adapter for it"
        )


def _targets(folder: Path, state: Mapping[str, Tensor], generator: Generator) -> list[str]:
    """The adapted layers: those that the weights' names name, in the backbone's order."""
    named = {name.rpartition(".lora_")[0] for name in state}
    found = [name for name, _ in generator.backbone.named_modules() if name in named]
    unknown = sorted(named - set(found))
    if unknown:
        raise UsageError(
            f"{folder}: the backbone of {generator.name!r} has no layer {unknown[0]!r} ({len(unknown)} such); take its own generator"
        )
    return found


def _settings(folder: Path) -> Any:
    from hnbench.hypernetwork.adapter import LoraSettings

    config = _read_json(folder / CONFIG)
    if config is None or not {"r", "lora_alpha"} <= config.keys():
        raise UsageError(f"{folder / CONFIG} is missing or has no r and lora_alpha; an adapter needs peft's configuration")
    used = [name for name in UNSUPPORTED if config.get(name)]
    if used:
        raise UsageError(f"{folder / CONFIG} uses {', '.join(used)}, which is not supported; train with plain LoRA")
    return LoraSettings(rank=int(config["r"]), alpha=float(config["lora_alpha"]))


def _card(description: Mapping[str, Any]) -> str:
    """The model card."""
    generator, training = description.get("generator", {}), description.get("training", {})
    length = f"{training.get('steps')} steps, {training.get('images')} images, {training.get('seconds', 0):.0f} s"
    gain, error = (_figure(description.get("evaluation", {}).get(name)) for name in ("gain", "gain_standard_error"))
    config = description.get("config", {})
    purpose = {
        "hypernoise": "A noise hypernetwork (HyperNoise, arXiv 2508.09968): it predicts a change of a frozen generator's initial noise.",
        "finetune": "A directly fine-tuned generator, the comparison for a noise hypernetwork: the same LoRA on the generator itself.",
    }
    lines = [
        "---",
        "library_name: peft",
        "tags: [lora, text-to-image]",
        "---",
        f"# {description.get('kind', 'adapter')} for {generator.get('name', 'unknown')}",
        "",
        purpose.get(str(description.get("kind")), ""),
        "",
        "| | |",
        "|---|---|",
        f"| generator | {generator.get('name')} ({str(generator.get('fingerprint'))[:12]}) |",
        f"| rewards | {', '.join(f'{name} x {weight:g}' for name, weight in config.get('rewards', {}).items())} |",
        f"| LoRA | rank {config.get('rank')}, alpha {config.get('lora_alpha')} |",
        f"| training | {length} on {training.get('device')} |",
        f"| gain in held-out reward | {gain} +- {error} (standard error) |",
        "",
        "Load it with `hnbench`: `peft` loads the weights, but a hypernetwork's last layer must also give its low-rank delta only.",
        "",
    ]
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
