"""The adapters that belong to backbones in this process, each loaded only once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hnbench.hypernetwork.checkpoint import version_of
from hnbench.hypernetwork.foreign_lora import load_foreign_lora
from hnbench.hypernetwork.loading import load_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from hnbench.generators.base import Generator
    from hnbench.hypernetwork.adapter import LoraAdapter
    from hnbench.hypernetwork.foreign import Checkpoint
    from hnbench.hypernetwork.inserted import InsertedLayers
    from hnbench.weights.fingerprint import FileVersion

_attached: WeakKeyDictionary[nn.Module, dict[tuple[str, FileVersion], LoraAdapter]] = (
    WeakKeyDictionary()
)
"""Backbone -> (kind, version of the weights) -> adapter. An entry ends with its backbone."""
_foreign: WeakKeyDictionary[
    nn.Module, dict[tuple[Checkpoint, tuple[FileVersion, ...]], InsertedLayers]
] = WeakKeyDictionary()
"""The same for the LoRAs of other programs."""


def attach(generator: Generator, folder: Path, kind: str) -> LoraAdapter:
    """The adapter of `load_adapter`, loaded once per backbone and version of the weights. Asking
    again only costs a look at the file's time and size.
    """
    known = _attached.setdefault(generator.backbone, {})
    key = (kind, version_of(folder))
    if key not in known:
        known[key] = load_adapter(folder, generator, kind)
    return known[key]


def attach_foreign(generator: Generator, checkpoint: Checkpoint) -> InsertedLayers:
    """The layers of `load_foreign_lora`, loaded once per backbone and version of the files."""
    known = _foreign.setdefault(generator.backbone, {})
    key = (checkpoint, checkpoint.version)
    if key not in known:
        known[key] = load_foreign_lora(checkpoint, generator)
    return known[key]
