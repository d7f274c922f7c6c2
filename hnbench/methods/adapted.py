"""Shared base of the methods that use a trained adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import LoraAdapter
from hnbench.hypernetwork.checkpoint import adapter_sha256, attach
from hnbench.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class AdapterMethod(Method):
    """A method with one label, whose outcome the adapter's weights decide."""

    adapter: Path
    """The folder of an adapter of this kind."""
    kind: ClassVar[str]
    """`"hypernoise"` or `"finetune"`: what the adapter was trained to do."""

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": adapter_sha256(self.adapter)}

    def prepare(self, generator: Generator) -> LoraAdapter:
        """The adapter on the generator's backbone, loaded once."""
        return attach(generator, self.adapter, self.kind)
