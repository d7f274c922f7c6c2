"""The shared base of the methods that use a trained adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import LoraAdapter
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import adapter_sha256, training_cost
from hnbench.hypernetwork.seen import read_hashes
from hnbench.methods.base import Method
from hnbench.methods.training import Training


@dataclass(frozen=True, kw_only=True)
class AdapterMethod(Method):
    """A method with one label, whose outcome depends on the weights of an adapter."""

    adapter: Path
    """The folder of an adapter of this kind."""
    kind: ClassVar[str]
    """The kind of the adapter's training: `"hypernoise"`, `"finetune"` or `"regression"`."""

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": adapter_sha256(self.adapter)}

    def prepare(self, generator: Generator) -> Training:
        """Load the adapter. `UsageError` if it was trained for another generator."""
        self._attached(generator)
        cost = training_cost(self.adapter)
        return Training(kind=self.kind, **cost, seen=read_hashes(self.adapter))

    def _attached(self, generator: Generator) -> LoraAdapter:
        """The adapter on the generator's backbone. It is loaded only the first time."""
        return attach(generator, self.adapter, self.kind)
