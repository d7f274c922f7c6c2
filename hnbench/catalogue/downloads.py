"""The files that a run needs, downloaded before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.catalogue import registry, specifications
from hnbench.errors import UsageError
from hnbench.weights import hub
from hnbench.weights.pinned_files import data_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hnbench.weights.hub import Source

Needs = dict["Source", list[str]]
"""Source -> the names that need it."""


def reward_sources(names: Iterable[str]) -> Needs:
    """The sources that rewards are loaded from."""
    return _joined((source, name) for name in names for source in registry.REWARDS.sources(name))


def fetch_data_files(rewards: Iterable[str], told: Callable[[str], None] = lambda _: None) -> None:
    """Download other projects' files that rewards read. Before each one, `told` is called with a
    line about it.
    """
    for name in dict.fromkeys(file for one in rewards for file in registry.REWARDS.data_files(one)):
        told(f"fetching {name}")
        data_file(name)


def measure_sources(names: Iterable[str]) -> Needs:
    """The sources on the Hub that measures are loaded from."""
    return _joined((source, name) for name in names for source in registry.MEASURES.sources(name))


def generator_sources(generator: str, dtype: str, adapters: Iterable[str | Path]) -> Needs:
    """The sources that adapters and a generator, by name or by place, are loaded from; none for a
    local folder.

    A generator's index names its files, so the index is downloaded here.
    """
    from hnbench.generators.sources import PublishedGenerator, at_place
    from hnbench.hypernetwork.checkpoint import FILES, NEEDS

    factory: object = None
    if generator in registry.GENERATORS.entries:
        factory = registry.GENERATORS.get(generator)
    elif not Path(generator).expanduser().is_dir():
        factory = at_place(generator)
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
    """Source -> size in bytes, or None if the Hub does not say. A repository that lacks a needed
    file is a `UsageError`.
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
    """Download all sources. Before each one, `told` is called with a line about it.

    Sources of unknown size come first: they are in the cache, or fail before anything large is
    downloaded.
    """
    for source in sorted(bytes_of, key=lambda source: bytes_of[source] is not None):
        told(f"fetching {source}")
        hub.download(source)
