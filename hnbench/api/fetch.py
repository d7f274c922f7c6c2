"""`hnbench.fetch`: downloads what a run will need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.api.arguments import Several, Weights, held_out_of, several, weights_of
from hnbench.catalogue.loading import Dtype, check_generator, dtype_of
from hnbench.catalogue.presets import Preset, preset_of
from hnbench.display.screen import Screen
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hnbench.catalogue.downloads import Needs
    from hnbench.weights.hub import Source


@dataclass(frozen=True)
class Fetched:
    """The files from the Hub that are on this machine now."""

    needed: Needs
    """Source on the Hub -> the names that need it."""
    sizes: Mapping[Source, int | None]
    """Source -> size in bytes; None if the Hub does not say."""


def _ignore(_needed: Needs, _sizes: Mapping[Source, int | None]) -> None:
    """Show nothing."""


def fetch(
    *,
    generator: str | None = None,
    dtype: Dtype | None = None,
    optimise: Weights = None,
    hold_out: Several = None,
    suite: str | None = None,
    measure: Several = None,
    progress: bool = True,
    before: Callable[[Needs, Mapping[Source, int | None]], None] = _ignore,
) -> Fetched:
    """Download what a run will need; afterwards the same run needs no network.

    A generator comes with its preset's rewards and hypernetwork. `before` is called with the needed
    sources and their sizes, before anything large is downloaded.

    Raises `UsageError` for an unknown name, or a repository that cannot be reached or lacks a file.
    """
    from hnbench.catalogue.downloads import (
        download_all,
        fetch_data_files,
        fetch_measure,
        fetch_suite,
        generator_sources,
        measure_sources,
        reward_sources,
        sizes,
    )

    if generator:
        check_generator(generator)
    preset = preset_of(generator) if generator else Preset()
    # Fetching only a suite or a measure needs no reward.
    asked = bool(optimise or preset.optimised)
    weights = weights_of(optimise, preset, generator or "") if asked else {}
    rewards = (*weights, *held_out_of(hold_out, preset, weights))
    measures = several(measure)
    if not (rewards or generator or suite or measures):
        raise UsageError(
            "there is nothing to fetch; give for example `optimise` human-preference, `generator`"
            " NAME or `suite` NAME"
        )
    needed = reward_sources(rewards) | measure_sources(measures)
    if generator:
        precision = dtype_of(generator, dtype)
        needed |= generator_sources(generator, precision, preset.adapters.values())
    screen = Screen(shown=progress)
    if needed:
        screen.say("asking the Hub for the sizes")
    bytes_of = sizes(needed)
    if needed:
        before(needed, bytes_of)
    fetch_data_files(rewards, screen.say)
    download_all(bytes_of, screen.say)
    for name in measures:
        screen.say(f"fetching what {name} needs")
        fetch_measure(name)
    if suite:
        screen.say(f"fetching what {suite} needs")
        fetch_suite(suite)
    return Fetched(needed, bytes_of)
