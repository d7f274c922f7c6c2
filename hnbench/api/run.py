"""`hnbench.run`: runs methods on a suite. `hnbench.load_run`: reads a run's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hnbench.api.arguments import (
    RESULTS,
    Several,
    Weights,
    adapters_of,
    check_names,
    devices_of,
    held_out_of,
    options_of,
    several,
    weights_of,
)
from hnbench.api.command import command_of
from hnbench.catalogue import registry, specifications
from hnbench.catalogue.loading import (
    Dtype,
    dtype_of,
    load_generator,
    load_mixture,
    load_reward,
    make_methods,
    parse_angle,
)
from hnbench.catalogue.presets import preset_of
from hnbench.display.screen import Screen
from hnbench.errors import ProcessFailure
from hnbench.guards.interrupts import exit_code_of
from hnbench.runs.plan import BASE, Plan
from hnbench.runs.shards import Shard, place_of_process
from hnbench.runs.store import Run, RunStore, read_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.catalogue.presets import Preset
    from hnbench.config import RunConfig
    from hnbench.runs.launching import Launch
    from hnbench.suites.base import Suite


@dataclass(frozen=True, kw_only=True)
class FinishedRun(Run):
    """A run, and how much of its plan is done.

    Without a shard, the numbers of the whole run are the same as those of the call.
    """

    shard: Shard
    """The part of the run that this call computed."""
    expected: int
    """The number of samples in the shard's part of the plan, over all labels."""
    done: int
    failed: int
    """The number of failed samples. Their records say why; the same call tries them again."""
    new: int
    """The number of records that this call wrote, done or failed."""
    run_expected: int
    """The number of samples in the whole plan, over all labels."""
    run_done: int
    run_failed: int
    commonest: str
    """The most common reason of failures, and how many samples it hit; empty if none failed."""

    @property
    def complete(self) -> bool:
        """Whether no sample of the whole plan is missing: all are done or failed."""
        return self.run_done + self.run_failed == self.run_expected


def load_run(folder: str | Path) -> Run:
    """Read a run's folder: its `run.json` and its records, without locking it.

    A folder that is not a run's, or is damaged, is a `StoreError`.
    """
    return read_run(folder)


def run(
    suite: str,
    *,
    generator: str = "shapes",
    method: Several = None,
    full: bool = False,
    limit: int | None = None,
    seed: int = 0,
    hypernetwork: str | Path | None = None,
    finetuned: str | Path | None = None,
    optimise: Weights = None,
    hold_out: Several = None,
    batch_size: int = 32,
    device: str = "auto",
    dtype: Dtype | None = None,
    steps: int = 1,
    image_size: int | None = None,
    prompt_prefix: bool | None = None,
    max_sequence_length: int | None = None,
    intermediate_timesteps: float | str | None = None,
    memory: str = "none",
    noise_policy: Literal["per-prompt", "shared"] = "per-prompt",
    out: str | Path | None = None,
    shard: str | None = None,
    gpus: str | None = None,
    progress: bool = True,
) -> FinishedRun:
    """Run methods on a suite, from the same prompts and the same starting noises.

    The same call again continues a run that was interrupted; a call with more methods or `full`
    adds to it. `hnbench run --help` describes the parameters; `progress` shows bars on stderr. A
    failed sample has a record too and is counted in the result; it raises nothing.

    `shard` is a part of the prompts, such as `"2/3"`: several processes work on one folder (see
    docs/scale.md). Without it, the environment of torchrun, accelerate and SLURM decides. `gpus`,
    `"all"` or for example `"0,1"`, starts a process for each of these GPUs.

    Raises `UsageError` for arguments that cannot be used, before any work; `StoreError` for a
    folder of another run, or one that cannot be written.
    """
    call = dict(locals())
    screen = Screen(shown=progress)
    place = place_of_process(shard, os.environ)
    preset = preset_of(generator)
    adapters = adapters_of(preset, hypernoise=hypernetwork, finetune=finetuned)
    weights = weights_of(optimise, preset, generator)
    held_out = held_out_of(hold_out, preset, weights)
    methods = _with_base(several(method) or _runnable(adapters, screen))
    specifications.find_suite(suite)
    check_names(generator, (*weights, *held_out), methods)
    chosen = specifications.make_suite(suite)
    for note in (*chosen.notes, *place.notes):
        screen.note(note)

    from hnbench.config import RunConfig

    devices = devices_of(gpus, device, screen, place)
    config = RunConfig(
        **_name_of(suite, chosen),
        generator=generator,
        optimised=weights,
        held_out=held_out,
        base_seed=seed,
        noise_policy=noise_policy,
        steps=steps,
        dtype=dtype_of(generator, dtype),
        image_size=image_size,
        prompt_prefix=prompt_prefix,
        max_sequence_length=max_sequence_length,
        intermediate_timesteps=parse_angle(intermediate_timesteps),
        methods=methods,
        full=full,
        limit=limit,
        batch_size=batch_size,
        device=devices[0],
        memory=memory,
    )
    folder = RESULTS / config.folder_name if out is None else Path(out)
    store = RunStore(folder, place.shard)
    if gpus is not None:
        return _on_devices(call, devices, store, screen)
    return _execute(config, chosen, preset, adapters, store, screen)


def _on_devices(
    call: Mapping[str, Any], devices: Sequence[str], store: RunStore, screen: Screen
) -> FinishedRun:
    """Make the call in one process for each device, each with a part of the store's shard."""
    from hnbench.runs.execute import Interrupted
    from hnbench.runs.launching import launch
    from hnbench.runs.tally import tally_of

    own = {name: value for name, value in call.items() if name not in ("gpus", "progress")}
    commands = []
    for device, shard in zip(devices, store.shard.split(len(devices)), strict=True):
        changed = {"out": store.folder, "shard": str(shard), "device": device, "report": False}
        commands.append((f"{shard.name} on {device}", command_of({**own, **changed})))
    screen.announce(f"starting {len(devices)} processes: {', '.join(name for name, _ in commands)}")
    launched = launch(commands, store.shard, store.folder, screen.run())
    if launched.interrupt:
        raise Interrupted(
            f"interrupted; what was computed is kept in {store.folder}. Continue with the same"
            " command.",
            exit_code_of(launched.interrupt),
        )
    _refuse_failed(launched, screen)
    with store:
        found = store.run()
        tally = tally_of(Plan.from_manifest(found.manifest), store, launched.written)
    return FinishedRun(**vars(found), **vars(tally))


def _refuse_failed(launched: Launch, screen: Screen) -> None:
    """Raise an error with the worst exit code, unless all processes have computed their part."""
    failed = [one for one in launched.ended if one.code not in (0, 3)]
    for one in failed:
        screen.note(f"{one.name} ended with exit code {one.code}; its last lines:")
        for line in one.lines:
            screen.note(f"    {line}")
    if failed:
        worst = launched.worst
        error = ProcessFailure(
            f"{len(failed)} of {len(launched.ended)} processes failed: {worst.name} ended with exit"
            f" code {worst.code} ({worst.lines[-1] if worst.lines else 'it printed nothing'})."
            " What the others computed is kept; the same command continues"
        )
        error.exit_code = worst.code
        raise error


def _execute(
    config: RunConfig,
    suite: Suite,
    preset: Preset,
    adapters: Mapping[str, str | Path],
    store: RunStore,
    screen: Screen,
) -> FinishedRun:
    """Load all models and execute the run."""
    from hnbench.runs.execute import execute
    from hnbench.runs.experiment import Experiment
    from hnbench.runs.preparation import prepare

    methods = make_methods(config.methods, preset, adapters)
    screen.announce(f"loading {config.generator}")
    generator = load_generator(config.generator, config.device, config.dtype, **options_of(config))
    # Before the rewards are loaded and the folder is made: a wrong adapter costs nothing.
    texts = {prompt.id: prompt.text for prompt in suite.prompts()}
    prepared = prepare(methods, generator, texts)
    screen.announce(f"loading {', '.join([*config.optimised, *config.held_out])}")
    rewards = load_mixture(config.optimised, config.device, config.dtype)
    held_out = [load_reward(name, config.device, config.dtype) for name in config.held_out]
    experiment = Experiment(config, suite, generator, rewards, held_out, prepared)
    with store:
        tally = execute(experiment, store, screen.run())
        found = store.run()
    return FinishedRun(**vars(found), **vars(tally))


def _runnable(adapters: Mapping[str, str | Path], screen: Screen) -> list[str]:
    """All built-in methods that have their adapter; the user is told which ones are left out."""
    entries = registry.METHODS.built_in
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
