"""What a run needs of the Hub, and having it before the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench import hub
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hnbench.hub import Source
    from hnbench.registry import Registry


def downloads(names: Iterable[tuple[Registry, str]]) -> dict[Source, list[str]]:
    """Every source that the names need, each once, with the names that need it."""
    found: dict[Source, list[str]] = {}
    for known, name in names:
        for source in known.sources(name):
            found.setdefault(source, []).append(name)
    return found


def sizes(sources: Iterable[Source]) -> dict[Source, int | None]:
    """Bytes by source; None where the Hub does not say. Why it does not is told by the download that follows."""
    return {source: _size(source) for source in sources}


def _size(source: Source) -> int | None:
    try:
        return hub.size(source)
    except UsageError:
        return None
