"""Converts the arguments of hnbench's functions into the forms that the rest of the package takes.

Names, weights and specifications are those of the command line. A parameter whose option may be
repeated is one text or a sequence of texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.catalogue import registry, specifications
from hnbench.catalogue.loading import (
    check_generator,
    choose_device,
    choose_gpus,
    find_adapter,
    parse_weights,
    parts_of,
)
from hnbench.catalogue.training_prompts import find_prompts, is_set
from hnbench.errors import UsageError
from hnbench.files.prompt_files import file_name
from hnbench.weights.pinned_files import NotHere

if TYPE_CHECKING:
    from hnbench.catalogue.presets import Preset
    from hnbench.display.screen import Screen
    from hnbench.runs.shards import Place

RESULTS = Path("results")
"""The default folder for runs, trainings and other results."""

DIVISION = ("shard", "gpus", "processes")
"""The parameters of `hnbench.run` that `plan` does not have: they divide a run among processes, and
`plan` tells of the whole run.
"""

Several = str | Sequence[str] | None
"""One text, several, or None for the default."""
Weights = Mapping[str, float] | Several
"""Reward -> weight, or `NAME=WEIGHT` as on the command line; None for the preset's."""


def several(given: Several) -> tuple[str, ...]:
    """The texts, in order; none for None."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def check_embed(given: int | None) -> None:
    """Raise a `UsageError` unless it can be the number of prompts whose pictures a page contains,
    or None for links.
    """
    if given is not None and given < 1:
        raise UsageError(f"`embed` is {given}; give the number of prompts, 1 or more")


def weights_of(given: Weights, preset: Preset, generator: str) -> dict[str, float]:
    """Reward -> weight, to optimise: as given, or the preset's."""
    if isinstance(given, Mapping):
        # repr() keeps every digit of a weight.
        given = [f"{name}={weight!r}" for name, weight in given.items()]
    return parse_weights(several(given), preset.optimised, generator)


def held_out_of(given: Several, preset: Preset, optimised: Mapping[str, float]) -> tuple[str, ...]:
    """The rewards that are only reported: as given, or the preset's that are not optimised."""
    if names := several(given):
        return tuple(dict.fromkeys(part for name in names for part in parts_of(name)))
    return tuple(name for name in preset.held_out if name not in optimised)


def adapters_of(preset: Preset, **given: str | Path | None) -> dict[str, str | Path]:
    """Kind of training -> adapter: as given, found at once, or else the preset's."""
    chosen = {
        kind: find_adapter(str(name), kind) for kind, name in given.items() if name is not None
    }
    return {**preset.adapters, **chosen}


def check_names(generator: str, rewards: Iterable[str], methods: Iterable[str]) -> None:
    """Raise a `UsageError` for unknown names, before anything is imported or loaded."""
    check_generator(generator)
    for name in rewards:
        registry.REWARDS.entry(name)
    for text in methods:
        registry.METHODS.entry(specifications.parse_method(text)[0])
        specifications.given_label(text)


def device_of(name: str, screen: Screen, local_rank: int | None = None) -> str:
    """The device that was asked for, and of several GPUs that of the process with this number on
    its machine. This imports torch, the slowest import, so it is announced.
    """
    screen.announce("loading torch")
    return choose_device(name, local_rank)


def require_processes(processes: int) -> None:
    """Raise a `UsageError` for a number of processes that cannot be started."""
    if processes < 1:
        raise UsageError(f"`processes` was {processes}; it must be at least 1")


def devices_of(
    gpus: str | None, processes: int | None, device: str, screen: Screen, place: Place
) -> list[str]:
    """The device of each process that a run starts: those of `gpus`, or `processes` times the
    device of this process. Empty if it starts none.
    """
    if processes is not None:
        if gpus is not None:
            raise UsageError("`gpus` starts one process for each GPU; leave out `processes`")
        require_processes(processes)
        return [device_of(device, screen, place.local_rank)] * processes
    if gpus is None:
        return []
    if device != "auto":
        raise UsageError("`gpus` names the devices; leave out `device`")
    screen.announce("loading torch")
    return choose_gpus(gpus)


def prompts_of(
    given: str | Path | None,
    preset: Preset,
    generator: str,
    data_dir: str | Path | None,
    screen: Screen,
) -> tuple[tuple[str, ...], str]:
    """Prompts to train on, and their source: the name of their set, or the file's name.

    No prompts for a set whose files are not on this machine, where nothing may be downloaded.
    """
    source = str(given) if given is not None else preset.training_prompts
    if not source:
        raise UsageError(
            f"the generator {generator!r} has no preset; give a file or a set of prompts with"
            " `prompts` (`hnbench list prompts` shows the sets)"
        )
    data = None if data_dir is None else Path(data_dir)
    try:
        texts = find_prompts(source, data, screen.note)
    except NotHere:
        texts = ()
    return texts, source if is_set(source) else file_name(Path(source))


def options_of(config: Any) -> dict[str, Any]:
    """The generator's options in a run's or a training's configuration, by name."""
    names = (
        "image_size",
        "prompt_prefix",
        "max_sequence_length",
        "intermediate_timesteps",
        "memory",
    )
    return {name: getattr(config, name) for name in names if hasattr(config, name)}
