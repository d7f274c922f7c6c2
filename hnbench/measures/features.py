"""The contract of a feature, and what the measures over features share: diversity and fidelity."""

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
    """A frozen network's description of a picture."""

    about: str
    """The model and what is taken of it, as the object of a sentence."""
    source: str = ""
    """Where the weights come from; empty for what comes with the package."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over the weights and the way from a picture to its features."""

    @abstractmethod
    def of(self, pictures: Sequence[Image]) -> Tensor:
        """Features `[B, D]`, float32 on the CPU, of RGB pictures of any sizes."""


class FeatureMeasure(Measure):
    """A formula over features."""

    identity: str
    """The formula's name and version, for the fingerprint."""
    said: str
    """The formula in words, to stand before the features'."""

    def __init__(self, name: str, features: Features) -> None:
        self.name, self._features = name, features
        self.about = f"{self.said} {features.about}"
        self.source = features.source

    @property
    def network(self) -> Features:
        """What describes the pictures."""
        return self._features

    @property
    def fingerprint(self) -> str:
        return digest([self.identity, self._features.fingerprint])
