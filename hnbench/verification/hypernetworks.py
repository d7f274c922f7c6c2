"""Checks of trained adapters: the change of the noise and the fine-tuned images are compared with
another computation from the same weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from hnbench.catalogue.loading import find_adapter, load_generator
from hnbench.catalogue.presets import preset_of
from hnbench.hypernetwork.adapter import FinetunedGenerator, Hypernetwork
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.hypernetwork.loading import load_adapter
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.verification.check import CannotRun
from hnbench.weights.checkpoint import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from hnbench.generators.base import Conditioning, Generator
    from hnbench.hypernetwork.adapter import LoraAdapter
    from hnbench.verification.check import CheckContext

PREFIX = "base_model.model."


def change(check: CheckContext) -> None:
    """Compare the hypernetwork's change of the noise with a computation by hooks on the layers of a
    second backbone.
    """
    _against_hooks(
        check,
        "hypernoise",
        lambda own, adapter, noise, text: Hypernetwork(own, adapter).displacement(noise, text),
    )


def finetuned(check: CheckContext) -> None:
    """Compare the images of a fine-tuned generator with a computation by hooks on the layers of a
    second generator.
    """
    _against_hooks(
        check,
        "finetune",
        lambda own, adapter, noise, text: FinetunedGenerator(own, adapter).generate(noise, text),
    )


def _against_hooks(
    check: CheckContext,
    kind: str,
    computed: Callable[[Generator, LoraAdapter, Tensor, Conditioning], Tensor],
) -> None:
    generator, folder, noise, prompts = _prepared(check, kind)
    adapter = load_adapter(folder, generator, kind)
    with torch.no_grad():
        ours = computed(generator, adapter, noise, generator.encode(prompts)).float().cpu()
    other: Any = load_generator(check.reference.given["generator"], check.device, check.dtype)
    _compare(check, ours, _by_hooks(other, folder, noise, prompts, alone=kind == "hypernoise"))


def _prepared(check: CheckContext, kind: str) -> tuple[Generator, Path, Tensor, list[str]]:
    given = check.reference.given
    found = preset_of(given["generator"]).adapters.get(kind)
    if found is None:
        raise CannotRun(f"there is no published adapter of this kind for {given['generator']}")
    folder = found if isinstance(found, Path) else find_adapter(found, kind)
    generator = load_generator(given["generator"], check.device, check.dtype)
    check.uses(generator.name, generator.fingerprint)
    check.uses("adapter", adapter_sha256(folder))
    tasks = [Task(str(index), prompt, index) for index, prompt in enumerate(given["prompts"])]
    noise = NoiseSource(0, tuple(generator.noise_shape)).batch(tasks).to(generator.device)
    return generator, folder, noise, list(given["prompts"])


def _compare(check: CheckContext, ours: Tensor, expected: Tensor) -> None:
    check.compare("relative difference", float((ours - expected).norm() / expected.norm()), 0.0)


def _by_hooks(
    generator: Any, folder: Path, noise: Tensor, prompts: list[str], *, alone: bool
) -> Tensor:
    """The generator's result with the adapter's weights: each layer's output plus its LoRA. With
    `alone`, the last layer's output is its LoRA only, and the result is the change of the noise.

    This uses only functions of torch and the numbers of the file, and no adapter library: since
    0.16, peft refuses the released adapter, whose LoRA of grouped convolutions is dense.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    weights = {name: value.to(generator.device) for name, value in _weights(folder)}
    scale = config["lora_alpha"] / config["r"]
    handles = [
        layer.register_forward_hook(
            _adding(weights, name, scale, replaces=alone and name == generator.last_layer)
        )
        for name, layer in generator.backbone.named_modules()
        if f"{name}.lora_A.weight" in weights
    ]
    if not handles:
        raise CannotRun(f"no layer of {generator.name} has weights in {folder}")
    conditioning = generator.encode(prompts)
    try:
        with torch.no_grad():
            made: Tensor = (
                generator.predict(noise, conditioning)
                if alone
                else generator.generate(noise, conditioning)
            )
            return made.float().cpu()
    finally:
        for handle in handles:
            handle.remove()


def _weights(folder: Path) -> Iterator[tuple[str, Tensor]]:
    safe = folder / "adapter_model.safetensors"
    found = load_file(safe) if safe.is_file() else read_weights(folder / "adapter_model.bin")
    for name, value in found.items():
        yield name.removeprefix(PREFIX), value.float()


def _adding(weights: Mapping[str, Tensor], name: str, scale: float, *, replaces: bool) -> Any:
    first, second = (weights[f"{name}.lora_{half}.weight"] for half in "AB")

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        given = inputs[0].float()
        if isinstance(layer, nn.Conv2d):
            # The second half of a LoRA is grouped only if its shape says so; a dense one sees all
            # channels of the first half.
            groups = layer.groups if second.shape[1] != first.shape[0] else 1
            options: Any = {"stride": layer.stride, "padding": layer.padding}
            delta = functional.conv2d(
                functional.conv2d(given, first, groups=1, **options), second, groups=groups
            )
        else:
            delta = given @ first.T @ second.T
        delta = (delta * scale).to(output.dtype)
        return delta if replaces else output + delta

    return add
