"""Weights of another checkpoint for a generator: what they must have in common with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.files.escaping import printable
from hnbench.generators.parts import INDEX, load_part, read_json

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

_SHOWN = 3


def require_pipeline(folder: Path, name: str, pipeline_class: str) -> None:
    """Raise a `UsageError` unless a folder is a pipeline of the class of the generator `name`."""
    found = read_json(folder / INDEX).get("_class_name")
    if found != pipeline_class:
        raise UsageError(
            f"{folder} is a {printable(str(found))[:60]}; the generator {name} is a"
            f" {pipeline_class}. Give a pipeline of that class"
        )


def load_network_like(folder: Path, name: str, backbone: Any, dtype: torch.dtype) -> nn.Module:
    """The network in a folder, frozen. It must have the class and the configuration of the backbone
    of the generator `name`, and every tensor; anything else is a `UsageError`.
    """
    kind = type(backbone).__name__
    found = read_json(folder / "config.json").get("_class_name")
    if found != kind:
        raise UsageError(
            f"{folder} is a {printable(str(found))[:60]}; the backbone of {name} is a {kind}. Give"
            " a network of that class, or a whole pipeline"
        )
    place = folder.resolve()
    network: Any = load_part(place.parent, place.name, "diffusers", kind, dtype).model
    differing = _differences(network.config, backbone.config)
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise UsageError(
            f"{folder} is not a network like the backbone of {name}:"
            f" {printable(', '.join(differing[:_SHOWN]))}{more}; give one with the same"
            " configuration, or a whole pipeline"
        )
    frozen: nn.Module = network.requires_grad_(False).eval()
    return frozen


def _differences(found: Any, wanted: Any) -> list[str]:
    return [
        f"{key} is {str(found.get(key))[:40]} instead of {str(wanted.get(key))[:40]}"
        for key in sorted({*found, *wanted})
        if not key.startswith("_") and _plain(found.get(key)) != _plain(wanted.get(key))
    ]


def _plain(value: Any) -> Any:
    """A value of a configuration, in which lists and tuples are the same."""
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value
