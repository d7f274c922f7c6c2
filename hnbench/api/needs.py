"""The files that a run needs from the network and the room that it needs on the disk, as far as
that is known before it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.catalogue import registry
from hnbench.catalogue.downloads import reward_sources
from hnbench.catalogue.loading import is_place
from hnbench.catalogue.specifications import parse_method
from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import FILES, NEEDS
from hnbench.verification.sizes import known_size
from hnbench.weights import hub
from hnbench.weights.language_model import language_model_is_cached
from hnbench.weights.pinned_files import is_here

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hnbench.api.arrangement import Arrangement

BYTES_PER_PIXEL = 1.7
"""The size of a PNG file per pixel. A photograph of 512 pixels (matplotlib's grace_hopper.jpg)
takes that at the compression of a run, which is PNG's level 1; a file of 8-bit RGB has at most 3.
"""


@dataclass(frozen=True)
class NeededDownload:
    """Files that a run needs and that do not come with hnbench."""

    name: str
    """The generator, reward, adapter or suite, with the name that a user types."""
    bytes: int | None
    """About how much that is; None if it is not known without the network."""
    cached: bool
    """Whether everything is in the cache. False for a suite, which is not looked at."""


def downloads(asked: Arrangement) -> tuple[NeededDownload, ...]:
    """The files that a run downloads, or has in the cache. Sizes come from the checks of `hnbench
    verify`, so nothing is asked over the network.
    """
    return tuple(one for one in _needed(asked) if one.bytes != 0)


def _needed(asked: Arrangement) -> Iterator[NeededDownload]:
    config = asked.config
    yield from model_downloads(
        config.generator, config.dtype, (*config.optimised, *config.held_out)
    )
    for text in config.methods:
        name, typed = parse_method(text)
        model = typed.get("model", "") if name == "prompt-search" else ""
        if model and not Path(model).expanduser().is_dir():
            yield NeededDownload(model, None, language_model_is_cached(model))
    for adapter in asked.adapters.values():
        if isinstance(adapter, str):
            yield NeededDownload(adapter, None, adapter_is_cached(adapter))
    if config.suite_version is None and registry.SUITES.entry(config.suite.partition(":")[0]).needs:
        yield NeededDownload(config.suite, known_size(config.suite.partition(",")[0]), cached=False)


def model_downloads(generator: str, dtype: str, rewards: Iterable[str]) -> Iterator[NeededDownload]:
    """The files of a generator and of rewards. Those that come with hnbench have no bytes."""
    if not Path(generator).expanduser().is_dir():
        size = None if is_place(generator) else known_size(generator, dtype)
        cached = size != 0 and _generator_is_cached(generator, dtype)
        yield NeededDownload(generator, size, cached)
    for name in rewards:
        sources, files = reward_sources([name]), registry.REWARDS.data_files(name)
        if sources or files:
            cached = all(map(hub.is_cached, sources)) and all(map(is_here, files))
            yield NeededDownload(name, known_size(name), cached)


def adapter_is_cached(name: str) -> bool:
    """Whether an adapter on the Hub, `owner/name[@revision]`, is in the cache."""
    return hub.is_cached(hub.Source.parse(name, FILES, NEEDS))


def _generator_is_cached(name: str, dtype: str) -> bool:
    """Whether all files of a generator are in the cache. Its index, which names them, has to be
    there first.
    """
    from hnbench.generators.sources import PublishedGenerator, at_place

    known = name in registry.GENERATORS.entries
    factory = registry.GENERATORS.get(name) if known else at_place(name)
    if not isinstance(factory, PublishedGenerator):
        return False
    index = factory.index()
    try:
        return (index is None or hub.is_cached(index)) and all(
            map(hub.is_cached, factory.sources(dtype))
        )
    except UsageError:
        return False


def image_size(asked: Arrangement) -> int | None:
    """Width and height of the images in pixels; None if only the loaded generator knows."""
    if asked.config.image_size or is_place(asked.config.generator):
        return asked.config.image_size
    return registry.GENERATORS.entry(asked.config.generator).image_size
