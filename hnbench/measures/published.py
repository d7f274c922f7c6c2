"""The measures of published models, by name. `where` takes the model from a folder or another
repository, and is part of the name.
"""

from __future__ import annotations

from hnbench.measures.diversity import Similarity, Vendi
from hnbench.measures.fidelity import FrechetDistance, MeanDiscrepancy
from hnbench.measures.transformer import clip_336, dinov2_base, dinov2_large
from hnbench.weights.hub import name_at


def dino_similarity(device: str, where: str = "") -> Similarity:
    """`dino-similarity`."""
    return Similarity(name_at("dino-similarity", where), dinov2_base(device, where))


def dino_vendi(device: str, where: str = "") -> Vendi:
    """`dino-vendi`."""
    return Vendi(name_at("dino-vendi", where), dinov2_base(device, where))


def cmmd(device: str, where: str = "") -> MeanDiscrepancy:
    """`cmmd`."""
    return MeanDiscrepancy(name_at("cmmd", where), clip_336(device, where))


def fd_dinov2(device: str, where: str = "") -> FrechetDistance:
    """`fd-dinov2`."""
    return FrechetDistance(name_at("fd-dinov2", where), dinov2_large(device, where))
