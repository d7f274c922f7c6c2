"""The floating-point operations of the named models' passes, as data: they are known without
loading a model.

`benchmarks/published_operations.py` counts them on networks of the published sizes and writes
`operations.csv`. A row is one pass for one image of the generator's default size, with the text
length and the other options at their defaults. Z-Image takes texts of any length; its rows are for
the shortest, of 32 tokens with padding.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("operations.csv")
COLUMNS = ("model", "part", "parameters", "forward", "backward", "training")
Part = Literal["backbone", "decoder", "hypernetwork", "finetuned", "reward"]
"""`hypernetwork` and `finetuned` are passes of the backbone with an adapter of the generator's own
training (its first preset, or the default settings).
"""


@dataclass(frozen=True)
class Operations:
    """One part of a model."""

    parameters: int
    """The number of its weights; for a backbone with an adapter, of the adapter's weights."""
    forward: int
    backward: int
    """The FLOPs of a backward pass to the noise, the latents or the image."""
    training: int | None = None
    """The FLOPs of a backward pass to the adapter's weights; None without an adapter."""


@cache
def operations_of(model: str) -> Mapping[Part, Operations]:
    """The parts of a generator or reward by its name; empty if they were not counted."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return MappingProxyType(
            {
                cast("Part", row["part"]): Operations(
                    int(row["parameters"]),
                    int(row["forward"]),
                    int(row["backward"]),
                    int(row["training"]) if row["training"] else None,
                )
                for row in csv.DictReader(file)
                if row["model"] == model
            }
        )
