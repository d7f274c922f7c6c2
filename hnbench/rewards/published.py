"""Published rewards: their files found or downloaded, and the reward made of them."""

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
    """A reward of this `kind`, made of the checkpoint in the first source and the folders of the
    others; `own` are arguments of its own. `where` takes the files from a folder or another
    repository, and is part of the name.
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
