"""Makes published rewards from their files, which are found or downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

from hnbench.weights.checkpoint import existing
from hnbench.weights.hub import find, name_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from hnbench.weights.hub import Source

R = TypeVar("R")


def make_published(
    kind: Callable[..., R],
    name: str,
    sources: tuple[Source, ...],
    *,
    where: str,
    device: str,
    dtype: str,
    **own: Any,
) -> R:
    """A reward of this `kind`, made from the checkpoint in the first source and the folders of the
    other sources; `own` are further arguments of the kind. `where` is a folder or repository to
    take the files from instead; it becomes a part of the name.
    """
    files = find(sources, where)
    return kind(
        existing(files.folders[0], *sources[0].files),
        *files.folders[1:],
        name=name_at(name, where),
        device=device,
        dtype=getattr(torch, dtype),
        source=files.origin,
        **own,
    )
