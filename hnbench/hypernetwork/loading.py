"""Loads a trained adapter from its folder onto a generator's backbone, strictly: every layer that
its configuration names has its weights, and no weight is left over.

Harmful files are refused before anything is computed with them. Nothing is unpickled.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pickle import UnpicklingError  # what torch raises when it refuses to unpickle
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import load_file
from torch import nn

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError
from hnbench.files.escaping import printable
from hnbench.hypernetwork.adapter import (
    LoraAdapter,
    LoraSettings,
    refuse_other_names,
    require_shape,
)
from hnbench.hypernetwork.checkpoint import (
    CONFIG,
    DESCRIPTION,
    PLACES,
    PREFIX,
    WEIGHTS,
    LoraOptions,
    describe_adapter,
    grouped_convolutions,
    is_described,
    lora_options,
    weights_file,
)
from hnbench.hypernetwork.config import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from hnbench.generators.base import Generator

LONGEST = 200
"""The largest number of characters shown of another program's message."""


def load_adapter(
    folder: Path, generator: Generator, kind: str, *, weights_known: bool = True
) -> LoraAdapter:
    """The adapter in a folder, of this kind (`"hypernoise"`, `"finetune"`, `"regression"`), loaded
    strictly.

    The weights' names may have peft's prefix or not. An adapter of another kind,
    generator or shape, and one with missing or additional weights, is a
    `UsageError`. A folder without hnbench.json (the published hypernetworks) counts as
    `"hypernoise"`, and is checked by names and shapes alone. If the generator's weights are not
    known, its fingerprint says nothing, and is not compared.
    """
    weights = weights_file(folder)
    if is_described(folder):
        description = describe_adapter(folder)
        _check(folder, description, generator, kind)
        if weights_known:
            _check_weights(folder, description, generator)
    elif kind != "hypernoise":
        raise UsageError(
            f"{folder} has no {DESCRIPTION}, so it counts as a noise hypernetwork and not as {kind}"
        )
    state = _read_weights(weights)
    config = lora_options(folder)
    targets = _targets(folder, config, state, generator)
    try:
        settings = _settings(config, targets, state, generator)
        adapter = LoraAdapter(generator.backbone, settings, targets)
        adapter.load_state_dict(state)
    except UsageError as error:
        raise UsageError(f"{folder}: {error}") from error
    return adapter


def _check(folder: Path, description: Mapping[str, Any], generator: Generator, kind: str) -> None:
    if description["kind"] != kind:
        other = PARAMETER.get(description["kind"])
        raise UsageError(
            f"{folder} is an adapter of kind {description['kind'][:60]!r}; {kind!r} is needed here"
            + (f" (a run takes that adapter as `{other}`)" if other else "")
        )
    trained = description["generator"]
    if tuple(trained["noise_shape"]) != tuple(generator.noise_shape):
        raise UsageError(
            f"{folder} was trained for the generator {trained['name'][:60]!r} with noise"
            f" {str(trained['noise_shape'])[:60]}; {generator.name!r} has noise"
            f" {list(generator.noise_shape)}"
        )


def _check_weights(folder: Path, description: Mapping[str, Any], generator: Generator) -> None:
    trained = description["generator"]
    name, fingerprint = trained["name"][:60], printable(trained["fingerprint"][:12])
    if trained["fingerprint"] != generator.fingerprint:
        raise UsageError(
            f"{folder} was trained for the generator {name!r} with fingerprint {fingerprint}; this"
            f" {generator.name!r} has fingerprint {generator.fingerprint[:12]}; train an adapter"
            " for it"
        )


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The weights by their names without peft's prefix."""
    found = _read_tensors(path)
    state = (
        {str(name).removeprefix(PREFIX): tensor for name, tensor in found.items()}
        if isinstance(found, dict)
        else {}
    )
    if (
        not state
        or len(state) < len(found)
        or not all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    ):
        raise UsageError(
            f"{path} holds no named LoRA weights, or one of them twice; give an adapter as peft"
            " saves it"
        )
    for name, tensor in state.items():
        if why := unusable(tensor):
            raise UsageError(f"{path}: {printable(name)[:100]} {why}")
    return state


def unusable(weight: Tensor) -> str:
    """The reason why a tensor cannot be a weight of a LoRA; empty if it can."""
    kind = str(weight.dtype).removeprefix("torch.")
    if kind not in ("float64", "float32", "float16", "bfloat16"):
        return f"is of type {kind}, and not of floating point with 16 bits or more; save it again"
    # A view can repeat few stored values (stride 0), so a small file could fill the memory.
    if (
        weight.layout != torch.strided
        or weight.device.type != "cpu"
        or weight.nbytes > weight.untyped_storage().nbytes()
    ):
        return "is not a plain tensor with a value in memory for each entry; save it again"
    return (
        ""
        if bool(weight.isfinite().all())
        else "has values that are not finite; the training diverged"
    )


def _read_tensors(path: Path) -> Any:
    """The content of a file of weights. A harmful file can make its reader fail in any way; each
    failure is a `UsageError` of one line.
    """
    try:
        if path.name == WEIGHTS:
            return load_file(path)
        _refuse_compressed(path)
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UsageError(
            f"{path} cannot be read as weights: it is damaged, or holds more than tensors; nothing"
            f" of it was run. Get it as {WEIGHTS}, which cannot hold anything else"
        ) from error
    except Exception as error:
        why = printable(str(error).strip().partition("\n")[0])[:LONGEST]
        raise UsageError(
            f"{path} cannot be read as weights ({why or type(error).__name__}); get the adapter"
            " again"
        ) from error


def _refuse_compressed(path: Path) -> None:
    """Refuse a compressed archive: torch never writes one, and it could unpack to a far larger
    size.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise MalformedError("it is compressed, as torch never writes it")


def _targets(
    folder: Path, config: LoraOptions, state: Mapping[str, Tensor], generator: Generator
) -> list[str]:
    """The layers that the configuration names, in the backbone's order; peft's own rule decides
    which layers a partial name means.
    """
    modules = dict(generator.backbone.named_modules())
    unknown = sorted({name.rpartition(".lora_")[0] for name in state} - modules.keys())
    if unknown:
        raise UsageError(
            f"{folder}: the backbone of {generator.name!r} has no layer {unknown[0][:100]!r}"
            f" ({len(unknown)} such); use the generator that it was trained for"
        )
    try:
        places = LoraConfig(
            **{name: value for name in PLACES if (value := getattr(config, name)) is not None}
        )
        adaptable = [
            name for name, module in modules.items() if isinstance(module, (nn.Linear, nn.Conv2d))
        ]
        found = [name for name in adaptable if check_target_module_exists(places, name)]
    except (TypeError, ValueError, re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{folder / CONFIG} cannot be used: {printable(str(error))[:LONGEST]}; get the adapter"
            " again"
        ) from error
    if not found:
        raise UsageError(
            f"{folder}: the backbone of {generator.name!r} has none of the layers that {CONFIG}"
            " names; use the generator that it was trained for"
        )
    return found


def _settings(
    config: LoraOptions, targets: Sequence[str], state: Mapping[str, Tensor], generator: Generator
) -> Any:
    """Rank and scale, and whether the LoRA of grouped convolutions is dense, which the shape of
    lora_B shows.

    Weights that do not fit the backbone are a `UsageError` before any layer of their size is made.
    """
    rank = config.r
    other = next(
        (name for name, half in state.items() if ".lora_A." in name and half.shape[:1] != (rank,)),
        None,
    )
    if other:
        raise UsageError(
            f"{CONFIG} says rank {rank}, but {other} has the shape {list(state[other].shape)}; use"
            " the configuration of these weights"
        )
    refuse_other_names(targets, state)
    for name in targets:
        half = f"{name}.lora_A.weight"
        require_shape(half, state[half], _first_half(generator.backbone.get_submodule(name), rank))
    grouped = [
        f"{name}.lora_B.weight" for name in grouped_convolutions(generator.backbone, targets)
    ]
    dense = any(state[name].ndim > 1 and state[name].shape[1] == rank for name in grouped)
    return LoraSettings(rank=rank, alpha=config.lora_alpha, dense=dense)


def _first_half(layer: nn.Module, rank: int) -> tuple[int, ...]:
    """The shape of a layer's lora_A, which ignores groups."""
    if isinstance(layer, nn.Conv2d):
        return (rank, layer.in_channels, *layer.kernel_size)
    width: int = getattr(layer, "in_features")  # noqa: B009
    return rank, width
