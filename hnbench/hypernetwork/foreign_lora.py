"""LoRAs of other programs, loaded by peft's and diffusers' own loaders, strictly: every weight of
the file has its layer and its shape, and nothing is left over.

The loaders work on a hollow copy of the backbone; the layers that they made are then put around the
backbone's own. Nothing is unpickled.
"""

from __future__ import annotations

import re
import warnings
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line, printable
from hnbench.hypernetwork.adapter import ADAPTER, refuse_other_names, require_shape
from hnbench.hypernetwork.checkpoint import ALLOWED, PREFIX, lora_options
from hnbench.hypernetwork.foreign import Checkpoint, tensor_names
from hnbench.hypernetwork.hollow import hollow
from hnbench.hypernetwork.inserted import HALVES, InsertedLayers, Site, place_of, wrap
from hnbench.hypernetwork.loading import LONGEST, unusable
from hnbench.weights.checkpoint import UNREADABLE
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from hnbench.generators.base import Generator

PATTERNS = ("rank_pattern", "alpha_pattern", "use_rslora")
"""Options of peft beyond a plain LoRA of one rank that its loader knows how to compute."""
_LOADERS = {
    "UNet2DConditionModel": "StableDiffusionLoraLoaderMixin",
    "FluxTransformer2DModel": "FluxLoraLoaderMixin",
}
"""Class of a backbone -> diffusers' class that reads its LoRA files; `_PLAIN` for any other."""
_PLAIN = "SanaLoraLoaderMixin"
_MAGNITUDES = ("dora_scale", "lora_magnitude_vector")
_BEYOND_FACTORS = (
    *("use_dora", "modules_to_save", "lora_bias", "use_qalora", "layer_replication"),
    *("trainable_token_indices", "alora_invocation_tokens", "target_parameters"),
)
"""Options of peft that change more than the factors of a LoRA."""
_OF_TEXT = re.compile(r"text_encoder(_\d)?\.|lora_te\d?_|text_model\.")


def load_foreign_lora(checkpoint: Checkpoint, generator: Generator) -> InsertedLayers:
    """The layers of a peft or diffusers LoRA for a generator's backbone. One for another backbone,
    one that changes more than the backbone, and one that is not a plain LoRA are a `UsageError`.
    """
    backbone = generator.backbone
    twin = hollow(backbone)
    load = _by_peft if checkpoint.form == "peft LoRA" else _by_diffusers
    try:
        with _quiet():
            state = load(checkpoint.place, twin)
        _refuse_options(twin.peft_config[ADAPTER])
        layers = _layers(twin)
        refuse_other_names(list(layers), state)
        _check(layers, state)
    except UsageError as error:
        raise UsageError(
            f"{checkpoint.place} is no LoRA for the backbone of {generator.name!r}, a"
            f" {type(backbone).__name__}: {error}; give the generator that it was trained for"
        ) from error
    except (*UNREADABLE, AttributeError, IndexError, OverflowError, re.error) as error:
        raise UsageError(
            f"{checkpoint.place} cannot be loaded onto the backbone of {generator.name!r}, a"
            f" {type(backbone).__name__}: {printable(first_line(error))[:LONGEST]}; give the"
            " generator that it was trained for"
        ) from error
    sites = {}
    for name, lora in layers.items():
        parent, child = place_of(backbone, name)
        wrap(lora, backbone.get_submodule(name))
        lora.requires_grad_(False)
        sites[name] = Site(weakref.ref(parent), child, lora)
    return InsertedLayers(sites)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the loaders' warnings: what they warn of is an error here."""
    with quiet_loading(), warnings.catch_warnings(action="ignore"):
        yield


def _by_peft(folder: Path, twin: nn.Module) -> dict[str, Tensor]:
    """Put a peft LoRA into the hollow copy. Returns the file's weights by the names that they have
    there.
    """
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    lora_options(folder, more=PATTERNS)
    config = LoraConfig.from_pretrained(str(folder))
    config.init_lora_weights = True  # no matter how they began: the file has the weights
    state = load_peft_weights(str(folder), device="cpu")
    _refuse_unusable(state)
    named = {name.removeprefix(PREFIX): weight for name, weight in state.items()}
    _require_layers(named, twin)
    inject_adapter_in_model(config, twin, ADAPTER, low_cpu_mem_usage=True)
    set_peft_model_state_dict(twin, state, ADAPTER, low_cpu_mem_usage=True)
    return named


def _by_diffusers(file: Path, twin: Any) -> dict[str, Tensor]:
    """The same for a LoRA in diffusers' layout."""
    from diffusers import loaders
    from diffusers.utils import convert_unet_state_dict_to_peft

    if not hasattr(twin, "load_lora_adapter"):
        raise UsageError(
            f"diffusers loads no LoRA onto a {type(twin).__name__}; save it with peft's"
            " save_pretrained"
        )
    _refuse_more(tensor_names(file))
    kind = type(twin).__name__
    loader = getattr(loaders.lora_pipeline, _LOADERS.get(kind, _PLAIN))
    asked = {"return_alphas": True} if "Flux" in kind else {"unet_config": twin.config}
    found = loader.lora_state_dict(
        str(file.parent),
        weight_name=file.name,
        use_safetensors=True,
        local_files_only=True,
        return_lora_metadata=True,
        **(asked if kind in _LOADERS else {}),
    )
    state, *alphas, metadata = found
    prefix = "unet" if "UNet" in kind else "transformer"
    others = [name for name in state if not name.startswith(f"{prefix}.")]
    if others:
        raise UsageError(
            f"its weight {printable(others[0])[:100]} does not begin with {prefix!r}, as all"
            f" weights for a {kind} do"
        )
    _refuse_unusable(state)
    own = {name.removeprefix(f"{prefix}."): weight for name, weight in state.items()}
    plain = all(".lora_A." in name or ".lora_B." in name for name in own)
    named: dict[str, Tensor] = own if plain else convert_unet_state_dict_to_peft(own)
    _require_layers(named, twin)
    twin.load_lora_adapter(
        dict(state),
        prefix=prefix,
        network_alphas=next(iter(alphas), None),
        metadata=metadata,
        adapter_name=ADAPTER,
        low_cpu_mem_usage=True,
    )
    return named


def _require_layers(state: Mapping[str, Tensor], twin: nn.Module) -> None:
    """Refuse weights without a layer, or for a layer of another width, before a loader tries."""
    layers = dict(twin.named_modules())
    for name, weight in state.items():
        layer, _, half = name.rpartition(".lora_")
        if layer not in layers:
            raise UsageError(f"there is no layer {printable(layer or name)[:100]!r}")
        width = _width(layers[layer], first=half.startswith("A"))
        found = weight.shape[1 if half.startswith("A") else 0] if weight.ndim > 1 else None
        if width is not None and found != width:
            raise UsageError(
                f"its weight {printable(name)[:100]} has the shape {list(weight.shape)}, and the"
                f" layer takes {width}"
            )


def _width(layer: Any, *, first: bool) -> int | None:
    """The number of inputs or outputs of a layer, whatever its groups; None for one without."""
    names = ("in_features", "in_channels") if first else ("out_features", "out_channels")
    found: int | None = next((getattr(layer, one) for one in names if hasattr(layer, one)), None)
    return found


def _refuse_more(names: Iterable[str]) -> None:
    """Refuse weights that diffusers would leave out silently, or put on another network."""
    for name in names:
        shown = printable(name)[:100]
        if any(word in name for word in _MAGNITUDES):
            raise UsageError(f"it is a DoRA ({shown}), which diffusers does not load")
        if _OF_TEXT.match(name):
            raise UsageError(
                f"it also changes a text encoder ({shown}), which is not supported; save the"
                " pipeline with the LoRA fused (fuse_lora, save_pretrained) and give its folder"
            )


def _refuse_unusable(state: Mapping[str, Tensor]) -> None:
    for name, weight in state.items():
        if why := unusable(weight):
            raise UsageError(f"its weight {printable(name)[:100]} {why}")


def _refuse_options(config: Any) -> None:
    """Refuse options that a LoRA file can bring along and that change more than the layers' factors
    do.
    """
    used = [name for name in _BEYOND_FACTORS if getattr(config, name, None)]
    used += [
        name for name in ("bias", "init_lora_weights") if not ALLOWED[name](vars(config)[name])
    ]
    if used:
        shown = printable(str(vars(config)[used[0]]))[:60]
        raise UsageError(f"it uses {used[0]} = {shown}, which is not supported")


def _layers(twin: nn.Module) -> dict[str, Any]:
    """The layers that a loader made, by the full name of the base layer each wraps."""
    from peft.tuners.lora import LoraLayer
    from peft.tuners.tuners_utils import BaseTunerLayer

    found = {
        name: layer for name, layer in twin.named_modules() if isinstance(layer, BaseTunerLayer)
    }
    for name, layer in found.items():
        if not isinstance(layer, LoraLayer):
            raise UsageError(f"its layer {name} is a {type(layer).__name__}, and no LoRA")
    return found


def _check(layers: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Refuse layers that do not have the file's weights: the loaders only warn."""
    for name, layer in layers.items():
        for half in HALVES:
            own, key = getattr(layer, half)[ADAPTER].weight, f"{name}.{half}.weight"
            require_shape(key, state[key], own.shape)
            if own.is_meta or not own.equal(state[key].to(own)):
                raise UsageError(f"its weight {key} was not taken by the loader")
