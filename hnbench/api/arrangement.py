"""The common beginning of `hnbench.run` and `hnbench.plan`: their parameters become a run's
configuration, before anything is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hnbench.api.arguments import (
    RESULTS,
    Several,
    Weights,
    check_names,
    held_out_of,
    several,
    weights_of,
)
from hnbench.api.batch_sizes import BatchSize, parse_batch_size
from hnbench.api.finetuned import Finetuned, adapters_with, finetuned_sources, rows_of
from hnbench.catalogue import registry, specifications
from hnbench.catalogue.loading import (
    Dtype,
    check_device,
    dtype_of,
    make_methods,
    parse_angle,
    steps_of,
)
from hnbench.catalogue.presets import preset_of
from hnbench.config import RunConfig
from hnbench.errors import UnavailableError
from hnbench.runs.finished import is_of
from hnbench.runs.manifest import read_manifest
from hnbench.runs.plan import BASE, identities_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.catalogue.presets import Preset
    from hnbench.display.screen import Screen
    from hnbench.methods.base import Method
    from hnbench.suites.base import Suite


@dataclass(frozen=True)
class Arrangement:
    """A run that was asked for. Nothing of it is loaded, and torch is not imported."""

    config: RunConfig
    """The device is as it was typed, for example `"auto"`."""
    suite: Suite
    preset: Preset
    adapters: Mapping[str, str | Path]
    """Kind of training -> adapter: a folder, or the preset's name on the Hub."""
    folder: Path
    automatic: bool
    """Whether the batch size is chosen for the device. That of `config` is then the default."""
    missing: str = ""
    """The reason why the suite's prompts have no texts, so that only their numbers are known; empty
    if the prompts are complete.
    """


def arrange(
    screen: Screen,
    suite: str,
    *,
    generator: str = "shapes",
    method: Several = None,
    full: bool = False,
    limit: int | None = None,
    seed: int = 0,
    hypernetwork: str | Path | None = None,
    finetuned: Finetuned = None,
    amortised: str | Path | None = None,
    optimise: Weights = None,
    hold_out: Several = None,
    batch_size: BatchSize = "auto",
    device: str = "auto",
    dtype: Dtype | None = None,
    steps: int | None = None,
    render_steps: int | None = None,
    image_size: int | None = None,
    prompt_prefix: bool | None = None,
    max_sequence_length: int | None = None,
    intermediate_timesteps: float | str | None = None,
    memory: str = "none",
    compile: bool = False,
    noise_policy: Literal["per-prompt", "shared"] = "per-prompt",
    out: str | Path | None = None,
    texts: bool = True,
) -> Arrangement:
    """The run that these parameters of `hnbench.run` ask for. Without `texts`, a published suite
    whose files are missing has prompts all the same, with empty texts. `UsageError` for an unknown
    name or a value that cannot be used.
    """
    size = parse_batch_size(batch_size)
    preset = preset_of(generator)
    sources = finetuned_sources(finetuned)
    adapters = adapters_with(preset, sources, hypernetwork=hypernetwork, amortised=amortised)
    weights = weights_of(optimise, preset, generator)
    held_out = held_out_of(hold_out, preset, weights)
    methods = _with_base(rows_of(several(method) or _runnable(adapters, screen), sources))
    # All names are checked before a suite's files are read or downloaded.
    specifications.find_suite(suite)
    check_names(generator, (*weights, *held_out), methods)
    check_device(device)
    chosen, missing = (specifications.make_suite(suite), "") if texts else _counted(suite)
    for note in chosen.notes:
        screen.note(note)
    config = RunConfig(
        **_name_of(suite, chosen),
        generator=generator,
        optimised=weights,
        held_out=held_out,
        base_seed=seed,
        noise_policy=noise_policy,
        steps=steps_of(generator, steps),
        # With the same steps, it is the same run.
        render_steps=None if render_steps == steps_of(generator, steps) else render_steps,
        dtype=dtype_of(generator, dtype),
        image_size=image_size,
        prompt_prefix=prompt_prefix,
        max_sequence_length=max_sequence_length,
        intermediate_timesteps=parse_angle(intermediate_timesteps),
        methods=methods,
        full=full,
        limit=limit,
        batch_size=RunConfig.batch_size if size == "auto" else size,
        gradient_batch_size=None,
        device=device,
        memory=memory,
        compile=compile,
    )
    folder = RESULTS / config.folder_name if out is None else Path(out)
    return Arrangement(config, chosen, preset, adapters, folder, size == "auto", missing)


def _counted(specification: str) -> tuple[Suite, str]:
    """The suite, or its protocol and the reason if the files with its prompts are missing."""
    try:
        suite = specifications.make_suite(specification)
        suite.prompts()  # reads the files
    except UnavailableError as error:
        protocol = specifications.make_protocol(specification)
        if protocol is None:
            raise
        return protocol, str(error)
    return suite, ""


def methods_of(
    asked: Arrangement, adapters: Mapping[str, str | Path] | None = None
) -> tuple[Method, ...]:
    """The methods of a run, with labels that tell them apart, also from the rows that the run's
    folder has. `adapters` are used instead of its own. This imports torch.
    """
    manifest = read_manifest(asked.folder)
    # The run itself refuses the folder of another one.
    own = manifest is not None and is_of(manifest, asked.config, asked.suite)
    known = identities_in(manifest) if manifest is not None and own else {}
    chosen = asked.adapters if adapters is None else adapters
    return make_methods(asked.config.methods, asked.preset, chosen, known)


def _runnable(adapters: Mapping[str, str | Path], screen: Screen) -> list[str]:
    """The methods of a run that names none: those whose adapter is there, and those that an adapter
    of their own was given for; the user is told which ones are left out.
    """
    default = {entry.adapter for entry in registry.METHODS.built_in if entry.default}
    entries = [
        entry
        for entry in registry.METHODS.built_in
        if entry.default or entry.adapter in adapters.keys() - default
    ]
    left_out = [entry.name for entry in entries if entry.adapter and entry.adapter not in adapters]
    if left_out:
        screen.note(f"without a trained adapter, left out: {', '.join(left_out)}")
    return [entry.name for entry in entries if entry.name not in left_out]


def _with_base(specifications: Sequence[str]) -> tuple[str, ...]:
    """The methods with the base, which all others are compared with, in the first place."""
    return (BASE, *(text for text in specifications if text != BASE))


def _name_of(specification: str, suite: Suite) -> dict[str, str]:
    """The suite's fields in a run's configuration. A prompt file is identified by its own name and
    its prompts, wherever it is.
    """
    if specifications.is_file(specification):
        return {"suite": suite.name, "suite_version": suite.version}
    return {"suite": specification}
