"""LoRA layers that are in a backbone's module tree only for the length of a block.

Outside of the block the tree holds the base layers themselves, so the base is bit for bit itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hnbench.generators.memory import device_of_layer

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

HALVES = ("lora_A", "lora_B")
"""The two factors of a LoRA, as peft names them."""


@dataclass(frozen=True)
class Site:
    """The place of one layer. The reference to the parent is weak: the layers do not keep their
    backbone alive.
    """

    parent: weakref.ref[nn.Module]
    child: str
    lora: nn.Module

    def held(self) -> nn.Module:
        """The parent. `RuntimeError` if its backbone no longer exists."""
        parent = self.parent()
        if parent is None:
            raise RuntimeError("the backbone of this adapter no longer exists")
        return parent


class InsertedLayers:
    """The layers of one adapter on one backbone. Several adapters may belong to a backbone, each
    with layers of its own around the same base layers; at most one is active at a time.
    """

    def __init__(self, sites: Mapping[str, Site]) -> None:
        self._sites = sites

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The layers that peft made, by the full name of the base layer each wraps."""
        return {name: site.lora for name, site in self._sites.items()}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Put the adapter's layers into the backbone for the length of the block."""
        before: list[tuple[nn.Module, str, nn.Module]] = []
        try:
            for site in self._sites.values():
                parent = site.held()
                before.append((parent, site.child, getattr(parent, site.child)))
                setattr(parent, site.child, site.lora)
            yield
        finally:
            for parent, child, module in reversed(before):
                setattr(parent, child, module)


def place_of(backbone: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The parent of a layer, and its name there, from its full name."""
    parent, _, child = name.rpartition(".")
    return backbone.get_submodule(parent), child


def wrap(lora: nn.Module, base: nn.Module, dtype: torch.dtype | None = None) -> None:
    """Put a LoRA layer around a base layer, which is not touched, with its weights on the base's
    device. None for `dtype` is float32, or the base's type if that is wider.
    """
    weight: Tensor = base.weight  # type: ignore[assignment]
    kept = dtype or torch.promote_types(weight.dtype, torch.float32)
    for half in HALVES:
        getattr(lora, half).to(device=device_of_layer(base), dtype=kept)
    lora.base_layer = base
    lora.eval()
