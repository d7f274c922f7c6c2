"""What a run needs of the Hub, and having it before the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.catalogue import registry, specifications
from hnbench.errors import UsageError
from hnbench.weights import hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hnbench.weights.hub import Source

Needs = dict["Source", list[str]]
"""Every source, once, and the names that need it."""


def reward_sources(names: Iterable[str]) -> Needs:
    """What rewards are loaded from."""
    return _joined((source, name) for name in names for source in registry.REWARDS.sources(name))


def measure_sources(names: Iterable[str]) -> Needs:
    """What measures are loaded from on the Hub."""
    return _joined((source, name) for name in names for source in registry.MEASURES.sources(name))


def generator_sources(generator: str, dtype: str, adapters: Iterable[str | Path]) -> Needs:
    """What a generator, by name or by where it is, and adapters are loaded from: nothing for what
    is on this machine.

    Which files a generator has is written in an index of its own, which is downloaded for that.
    """
    from hnbench.generators.sources import PublishedGenerator
    from hnbench.hypernetwork.checkpoint import FILES, NEEDS

    factory: object = None
    if generator in registry.GENERATORS.entries:
        factory = registry.GENERATORS.get(generator)
    elif not Path(generator).expanduser().is_dir():
        factory = PublishedGenerator(generator, generator)
    found = (
        [(source, generator) for source in factory.sources(dtype)]
        if isinstance(factory, PublishedGenerator)
        else []
    )
    return _joined(
        [
            *found,
            *(
                (hub.Source.parse(name, FILES, NEEDS), "its hypernetwork")
                for name in adapters
                if isinstance(name, str)
            ),
        ]
    )


def _joined(pairs: Iterable[tuple[Source, str]]) -> Needs:
    found: Needs = {}
    for source, name in pairs:
        found.setdefault(source, []).append(name)
    return found


def fetch_suite(specification: str) -> None:
    """Download a suite's prompts and its judge's models."""
    suite = specifications.make_suite(specification)
    suite.prompts()
    suite.judge(device="cpu")


def fetch_measure(name: str) -> None:
    """Download a measure's files that are not on the Hub, by loading it once."""
    if not registry.MEASURES.entry(name).sources:
        registry.MEASURES.get(name)("cpu")


def sizes(sources: Iterable[Source]) -> dict[Source, int | None]:
    """Bytes by source; None where the Hub does not say. A repository without a file that is needed
    is a `UsageError`.
    """
    return {source: _size(source) for source in sources}


def _size(source: Source) -> int | None:
    try:
        return hub.size(source)
    except hub.Lacking:
        raise
    except UsageError:
        return None


def download_all(
    bytes_of: Mapping[Source, int | None], told: Callable[[str], None] = lambda _: None
) -> None:
    """Download all sources, each after `told` was told of it.

    Those without a size from the Hub come first: they are in the cache, or fail before anything
    large is downloaded.
    """
    for source in sorted(bytes_of, key=lambda source: bytes_of[source] is not None):
        told(f"fetching {source}")
        hub.download(source)
