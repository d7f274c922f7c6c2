"""A LoRA adapter on a generator's backbone, and the two networks that use it.

`Hypernetwork` predicts a change of the noise: one pass of the adapted backbone whose last layer
gives only its low-rank delta, so that the change is exactly zero as long as lora_B of that layer is
zero (HyperNoise, section 3). `FinetunedGenerator` is the directly fine-tuned comparison: the same
adapter with the last layer complete, used to generate images.

The adapter is made by peft, and is in the module tree only inside `LoraAdapter.active()`. Outside,
the tree holds the base modules themselves: the base is bit for bit itself, its state dict keeps its
keys, nothing is slower, and no flag of peft is toggled (peft's own switch clears `requires_grad` of
the LoRA weights).
"""

from __future__ import annotations

import copy
import re
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hnbench.errors import UsageError
from hnbench.files.escaping import printable
from hnbench.generators.base import Conditioning, Generator
from hnbench.generators.memory import recomputes_safely
from hnbench.hypernetwork.inserted import HALVES, InsertedLayers, Site, place_of, wrap
from hnbench.seeds import seed_of

ADAPTER = "adapter"
"""peft's name for the adapter in each of its layers. Every `LoraAdapter` has layers of its own, so
one name is enough.
"""


@dataclass(frozen=True)
class LoraSettings:
    """The settings that decide an adapter's shape and its first weights."""

    rank: int
    alpha: float
    """The delta is scaled by alpha / rank."""
    pattern: str | None = None
    """A regular expression that a module's full name must match; None takes every linear and 2-d
    convolution layer.
    """
    seed: int = 0
    dense: bool = False
    """Whether the LoRA of a grouped convolution ignores the groups, as peft did before 0.16
    (HyperNoise was trained with it). Otherwise lora_B is grouped like the base, as in newer peft,
    which needs a rank that is divisible by the number of groups.
    """
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The type that the weights are stored and updated in; on a float64 backbone, float32 means
    float64.
    """


def find_targets(backbone: nn.Module, settings: LoraSettings) -> tuple[str, ...]:
    """Full names of the layers that can carry such a LoRA, in the module tree's order.

    Every `nn.Linear` and `nn.Conv2d`, except grouped convolutions whose groups do not divide the
    rank (unless the LoRA is dense), and except the projection inside `nn.MultiheadAttention`, whose
    weight is used without calling the layer, so that a LoRA there would have no effect.
    """
    attention = tuple(
        f"{name}."
        for name, module in backbone.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    )
    carrying = [
        name for name, module in backbone.named_modules() if _carries_lora(module, settings)
    ]
    names = [name for name in carrying if not name.startswith(attention)]
    return tuple(
        name for name in names if settings.pattern is None or re.fullmatch(settings.pattern, name)
    )


def _carries_lora(module: nn.Module, settings: LoraSettings) -> bool:
    if isinstance(module, nn.Conv2d):
        return settings.dense or settings.rank % module.groups == 0
    return isinstance(module, nn.Linear)


def lora_config(backbone: nn.Module, settings: LoraSettings, targets: Sequence[str]) -> Any:
    """The `peft.LoraConfig` for exactly these layers, with gaussian A and zero B."""
    from peft import LoraConfig

    chosen = set(targets)
    others = [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d)) and name not in chosen
    ]
    # peft also takes a name that ends with ".<target>", so the layers that are not meant are
    # excluded by their full names.
    excluded = "|".join(
        re.escape(name)
        for name in others
        if name.endswith(tuple(f".{target}" for target in targets))
    )
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        init_lora_weights="gaussian",
        target_modules=list(targets),
        exclude_modules=excluded or None,
    )


class LoraAdapter(InsertedLayers):
    """One LoRA for one backbone.

    The optimizer updates its weights themselves, so they have the settings' type (usually float32)
    whatever the base's type is. They are on the devices that the base layers have at construction.
    Several adapters may belong to one backbone; each has its own layers around the same base
    modules, and at most one is active at a time.

    `targets` are full layer names; None takes `find_targets`. Raises `UsageError` for a rank below
    1, and if no layer matches.
    """

    def __init__(
        self, backbone: nn.Module, settings: LoraSettings, targets: Sequence[str] | None = None
    ) -> None:
        if settings.rank < 1:
            raise UsageError(f"`rank` was {settings.rank}; it must be at least 1")
        self.settings = settings
        self.targets = tuple(targets) if targets is not None else find_targets(backbone, settings)
        if not self.targets:
            raise UsageError(
                f"`target_pattern` was {settings.pattern!r}, which matches no linear or convolution"
                f" layer of {type(backbone).__name__}; give one that matches full layer names"
            )
        super().__init__(_inject(backbone, settings, self.targets))

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """The trainable weights by name: `<layer>.lora_A.weight` and `<layer>.lora_B.weight`."""
        found: dict[str, nn.Parameter] = {}
        for name, layer in self.layers.items():
            for half in HALVES:
                found[f"{name}.{half}.weight"] = getattr(layer, half)[ADAPTER].weight
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """Detached copies of the weights, on the CPU, by name."""
        return {
            name: parameter.detach().cpu().clone().contiguous()
            for name, parameter in self.named_parameters().items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy these weights into the adapter. Raises `UsageError` when a name is missing or
        unexpected, or a weight has another shape or is not of floating point.
        """
        refuse_other_names(self.targets, state)
        # All are checked before any is copied: a refused state changes nothing.
        own = self.named_parameters()
        for name, parameter in own.items():
            require_shape(name, state[name], parameter.shape)
            if not state[name].is_floating_point():
                raise UsageError(f"the adapter's weight {name} is not of floating point")
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state[name])

    @contextmanager
    def delta_only(self, name: str) -> Iterator[None]:
        """Make the layer `name` give lora_B(lora_A(x)) * scaling, without base output and bias, for
        the length of the block.

        This too is done by a layer in the tree, not by a hook: what is recomputed in the backward
        pass is recomputed by the layers of the first time (`hnbench.generators.memory`).
        """
        site = self._sites[name]
        parent = site.held()
        before = getattr(parent, site.child)
        setattr(parent, site.child, _DeltaOnly(site.lora))
        try:
            yield
        finally:
            setattr(parent, site.child, before)


class _DeltaOnly(nn.Module):
    """The addition of a LoRA layer, without its base layer."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.down, self.up, self.scaling = (
            layer.lora_A[ADAPTER],
            layer.lora_B[ADAPTER],
            layer.scaling[ADAPTER],
        )

    def forward(self, x: Tensor) -> Tensor:
        delta: Tensor = self.up(self.down(x.to(self.down.weight.dtype))) * self.scaling
        return delta


def refuse_other_names(targets: Sequence[str], state: Mapping[str, Tensor]) -> None:
    """Raise a `UsageError` unless `state` has exactly the weights of a LoRA on these layers."""
    own = {f"{name}.{half}.weight" for name in targets for half in HALVES}
    missing, unexpected = sorted(own - state.keys()), sorted(state.keys() - own)
    if missing or unexpected:
        raise UsageError(
            f"the adapter's weights do not fit this backbone: missing {_some(missing)}; unexpected"
            f" {_some(unexpected)}"
        )


def require_shape(name: str, weight: Tensor, wanted: Sequence[int]) -> None:
    """Raise a `UsageError` if the weight of that name has another shape."""
    if tuple(weight.shape) != tuple(wanted):
        raise UsageError(
            f"the adapter's weight {name} has shape {tuple(weight.shape)}; this backbone needs"
            f" {tuple(wanted)}"
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name)[:100] for name in names[:3]) or "none"
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _inject(backbone: nn.Module, settings: LoraSettings, targets: Sequence[str]) -> dict[str, Site]:
    """Let peft build its layers, then take them out of the tree again."""
    from peft import inject_adapter_in_model

    config = lora_config(backbone, settings, targets)
    base = {name: backbone.get_submodule(name) for name in targets}
    stand_ins = {
        name: stand_in
        for name, module in base.items()
        if (stand_in := _stand_in(module, settings)) is not module
    }
    with _put_back(backbone, base):
        for name, stand_in in stand_ins.items():
            parent, child = place_of(backbone, name)
            setattr(parent, child, stand_in)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # Grouped convolutions cannot be merged into the base; nothing is merged here.
            warnings.filterwarnings("ignore", message=".*groups > 1. Merging is not supported")
            # peft draws the first weights from torch's global random numbers.
            torch.manual_seed(seed_of("lora", settings.seed))
            inject_adapter_in_model(config, backbone, ADAPTER)
        made = {name: backbone.get_submodule(name) for name in targets}
    missed = [name for name in targets if made[name] in (base[name], stand_ins.get(name))]
    if missed:
        raise UsageError(f"peft put no LoRA on {_some(missed)}")
    sites = {}
    for name, lora in made.items():
        parent, child = place_of(backbone, name)
        sites[name] = Site(weakref.ref(parent), child, _prepare(lora, base[name], settings))
    return sites


@contextmanager
def _put_back(backbone: nn.Module, base: Mapping[str, nn.Module]) -> Iterator[None]:
    """After the block, the backbone is as it was before, whatever peft did to it: the layers of
    these names, which parameters are trainable, and no `peft_config` that was not there.
    """
    trainable = {id(parameter) for parameter in backbone.parameters() if parameter.requires_grad}
    had_config = hasattr(backbone, "peft_config")
    try:
        yield
    finally:
        for name, module in base.items():
            parent, child = place_of(backbone, name)
            setattr(parent, child, module)
        for parameter in backbone.parameters():
            parameter.requires_grad_(id(parameter) in trainable)
        if not had_config and hasattr(backbone, "peft_config"):
            del backbone.peft_config


def _stand_in(layer: nn.Module, settings: LoraSettings) -> nn.Module:
    """The layer that peft sees instead of this one, if it must see another. Its forward is never
    called.

    For a dense LoRA, a copy claims groups=1. If the weights are not in the layer (the memory policy
    offload-blocks), a copy has zeros of the same shape that take no memory, because peft would put
    the LoRA where the weights seem to be, which is nowhere.
    """
    dense = settings.dense and getattr(layer, "groups", 1) > 1
    weight: Tensor = layer.weight  # type: ignore[assignment]
    if not dense and not weight.is_meta:
        return layer
    stand_in: Any = copy.copy(layer)
    if dense:
        stand_in.groups = 1
    if weight.is_meta:
        zeros = torch.zeros((), dtype=weight.dtype).expand(weight.shape)
        stand_in._parameters = {"weight": nn.Parameter(zeros, requires_grad=False)}  # noqa: SLF001
    return stand_in  # type: ignore[no-any-return]


def _prepare(lora: nn.Module, base: nn.Module, settings: LoraSettings) -> nn.Module:
    """The LoRA layer with trainable weights of the settings' type, around the base layer itself."""
    wrap(lora, base, torch.bfloat16 if settings.dtype == "bfloat16" else None)
    for half in HALVES:
        getattr(lora, half).requires_grad_(True)
    return lora


class Hypernetwork:
    """The network f(noise, prompt) that predicts the change of a generator's noise. It is cheap to
    make: all weights are the adapter's.
    """

    def __init__(self, generator: Generator, adapter: LoraAdapter) -> None:
        if generator.last_layer not in adapter.layers:
            raise UsageError(
                f"a hypernetwork needs LoRA on the last layer of {generator.name},"
                f" {generator.last_layer!r}; widen `target_pattern` to match it"
            )
        _refuse_checkpointing(generator)
        self.generator = generator
        self.adapter = adapter

    def displacement(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        """The change f `[B, *noise_shape]` of noises `[B, *noise_shape]` (float32 or wider, as the
        result), one backbone pass.
        """
        with self.adapter.active(), self.adapter.delta_only(self.generator.last_layer):
            change = self.generator.predict(noise, conditioning)
        return change.to(noise.dtype)

    def as_map(self, conditioning: Conditioning) -> Callable[[Tensor], Tensor]:
        """The function noise -> f for fixed prompts; `divergence` examines its Jacobian."""
        return lambda noise: self.displacement(noise, conditioning)


class FinetunedGenerator:
    """The generator with its adapter on and the last layer complete: noise and prompt to image."""

    def __init__(self, generator: Generator, adapter: InsertedLayers) -> None:
        _refuse_checkpointing(generator)
        self.generator = generator
        self.adapter = adapter

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        """Images `[B, 3, H, W]`, as `Generator.generate`."""
        with self.adapter.active():
            return self.generator.generate(noise, conditioning, steps)


def _refuse_checkpointing(generator: Generator) -> None:
    """Refuse a backbone that recomputes in the backward pass without restoring the adapter, which
    has been taken out by then.
    """
    if not recomputes_safely(generator.backbone):
        raise UsageError(
            f"gradient checkpointing is on for {generator.name}'s backbone, and would recompute"
            " without the adapter; switch it off, and load the generator with `memory`"
            " checkpoint-all instead"
        )
