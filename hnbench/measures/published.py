"""The measures with published models. `where` names a folder or another repository that the model
is taken from, and is part of the measure's name.
"""

from __future__ import annotations

from hnbench.measures.diversity import Similarity, Vendi
from hnbench.measures.fidelity import FrechetDistance, MeanDiscrepancy
from hnbench.measures.transformer import clip_336, dinov2_base, dinov2_large
from hnbench.weights.hub import name_at


def dino_similarity(device: str, where: str = "") -> Similarity:
    """The measure `dino-similarity`."""
    return Similarity(name_at("dino-similarity", where), dinov2_base(device, where))


def dino_vendi(device: str, where: str = "") -> Vendi:
    """The measure `dino-vendi`."""
    return Vendi(name_at("dino-vendi", where), dinov2_base(device, where))


def cmmd(device: str, where: str = "") -> MeanDiscrepancy:
    """The measure `cmmd`."""
    return MeanDiscrepancy(name_at("cmmd", where), clip_336(device, where))


def fd_dinov2(device: str, where: str = "") -> FrechetDistance:
    """The measure `fd-dinov2`."""
    return FrechetDistance(name_at("fd-dinov2", where), dinov2_large(device, where))
