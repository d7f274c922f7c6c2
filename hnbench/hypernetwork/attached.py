"""The adapters that belong to backbones in this process, each loaded only once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hnbench.hypernetwork.checkpoint import version_of
from hnbench.hypernetwork.loading import load_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from hnbench.generators.base import Generator
    from hnbench.hypernetwork.adapter import LoraAdapter
    from hnbench.hypernetwork.checkpoint import Version

_attached: WeakKeyDictionary[nn.Module, dict[tuple[str, Version], LoraAdapter]] = (
    WeakKeyDictionary()
)
"""Backbone -> (kind, version of the weights) -> adapter. An entry ends with its backbone."""


def attach(generator: Generator, folder: Path, kind: str) -> LoraAdapter:
    """The adapter of `load_adapter`, loaded once per backbone and version of the weights. Asking
    again only costs a look at the file's time and size.
    """
    known = _attached.setdefault(generator.backbone, {})
    key = (kind, version_of(folder))
    if key not in known:
        known[key] = load_adapter(folder, generator, kind)
    return known[key]
