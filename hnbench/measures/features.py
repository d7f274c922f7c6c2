"""The contract of features, and the shared base of the measures that use them: diversity and
fidelity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hnbench.measures.base import Measure
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor


class Features(ABC):
    """A frozen network that turns pictures into vectors."""

    about: str
    """The model and the part of its output that is used, as the object of a sentence."""
    source: str = ""
    """The origin of the weights; empty for weights that come with the package."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 of the weights and the preprocessing and pooling."""

    @abstractmethod
    def of(self, pictures: Sequence[Image]) -> Tensor:
        """Features `[B, D]`, float32 on the CPU, of RGB pictures of any sizes."""


class FeatureMeasure(Measure):
    """A measure that applies a formula to features."""

    identity: str
    """The formula's name and version, for the fingerprint."""
    said: str
    """The formula in words; `about` is this, followed by the features' `about`."""

    def __init__(self, name: str, features: Features) -> None:
        self.name, self._features = name, features
        self.about = f"{self.said} {features.about}"
        self.source = features.source

    @property
    def network(self) -> Features:
        """The network that computes the features."""
        return self._features

    @property
    def fingerprint(self) -> str:
        return digest([self.identity, self._features.fingerprint])
