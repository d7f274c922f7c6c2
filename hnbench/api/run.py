"""`hnbench.run`: runs methods on a suite. `hnbench.load_run`: reads a run's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hnbench.api.arguments import DIVISION, Several, Weights, device_of, devices_of, options_of
from hnbench.api.arrangement import Arrangement, arrange, methods_of
from hnbench.api.batch_sizes import BatchSize, as_begun, fitted
from hnbench.api.command import command_of
from hnbench.api.expectation import expected_work, lost_images
from hnbench.api.finetuned import Finetuned
from hnbench.api.finished import already_finished
from hnbench.api.operations import operations_of_run
from hnbench.catalogue.loading import (
    Dtype,
    compile_models,
    load_generator,
    load_held_out,
    load_mixture,
)
from hnbench.display.screen import Screen
from hnbench.errors import ProcessFailure
from hnbench.guards.interrupts import exit_code_of
from hnbench.runs.journals import JournalReader
from hnbench.runs.plan import Plan
from hnbench.runs.shards import Place, Shard, place_of_process
from hnbench.runs.store import Run, RunStore, read_run
from hnbench.runs.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.runs.launching import Launched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.methods.base import Method
    from hnbench.runs.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class FinishedRun(Run, Tally):
    """A run, and how much of its plan is done: the numbers of `Tally`, in which a session is this
    call.
    """


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
    shard: str | None = None,
    gpus: str | None = None,
    processes: int | None = None,
    progress: bool = True,
) -> FinishedRun:
    """Run methods on a suite, from the same prompts and the same starting noises.

    The same call again continues a run that was interrupted; a call with more methods or `full`
    adds to it. `hnbench run --help` describes the parameters; `progress` shows bars on stderr. A
    failed sample has a record too and is counted in the result; it raises nothing.

    `shard` is a part of the prompts, such as `"2/3"`: several processes work on one folder (see
    docs/scale.md). Without it, the environment of torchrun, accelerate and SLURM decides. `gpus`,
    `"all"` or for example `"0,1"`, starts a process for each of these GPUs. `processes` starts this
    number of them on one device; on a CPU, they divide its cores.

    Raises `UsageError` for arguments that cannot be used, before any work; `StoreError` for a
    folder of another run, or one that cannot be written.
    """
    call = dict(locals())
    with Screen(shown=progress) as screen:
        place = place_of_process(shard, os.environ)
        asked = arrange(
            screen,
            suite,
            generator=generator,
            method=method,
            full=full,
            limit=limit,
            seed=seed,
            hypernetwork=hypernetwork,
            finetuned=finetuned,
            amortised=amortised,
            optimise=optimise,
            hold_out=hold_out,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            steps=steps,
            render_steps=render_steps,
            image_size=image_size,
            prompt_prefix=prompt_prefix,
            max_sequence_length=max_sequence_length,
            intermediate_timesteps=intermediate_timesteps,
            memory=memory,
            compile=compile,
            noise_policy=noise_policy,
            out=out,
        )
        for note in place.notes:
            screen.note(note)
        reader = JournalReader(asked.folder)
        if found := already_finished(asked, reader):
            return _nothing_to_do(found, place.shard)
        if lost := lost_images(asked, reader):
            screen.note(
                f"{asked.folder} has no images of {lost:,} of its records; the run makes again"
                " what it needs of them. A report needs the records only"
            )
        store = RunStore(asked.folder, place.shard, reader)
        if devices := devices_of(gpus, processes, device, screen, place):
            return _on_devices(call, devices, store, screen)
        return _execute(asked, store, place, reader, screen)


def _nothing_to_do(found: Run, shard: Shard) -> FinishedRun:
    """The result for a run whose whole plan was done before."""
    plan = Plan.from_manifest(found.manifest)
    own = len(shard.tasks(plan)) * len(plan.labels)
    tally = Tally(
        shard=shard,
        expected=own,
        done=own,
        failed=0,
        new=0,
        run_expected=plan.size,
        run_done=plan.size,
        run_failed=0,
    )
    return FinishedRun(**vars(found), **vars(tally))


def _on_devices(
    call: Mapping[str, Any], devices: Sequence[str], store: RunStore, screen: Screen
) -> FinishedRun:
    """Make the call in one process for each device, each with a part of the store's shard."""
    from hnbench.runs.execute import Interrupted
    from hnbench.runs.launching import cores_for_each, launch
    from hnbench.runs.tally import tally_of

    own = {name: value for name, value in call.items() if name not in (*DIVISION, "progress")}
    commands = []
    for device, shard in zip(devices, store.shard.split(len(devices)), strict=True):
        changed = {"out": store.folder, "shard": str(shard), "device": device, "report": False}
        commands.append((f"{shard.name} on {device}", command_of({**own, **changed})))
    screen.announce(f"starting {len(devices)} processes: {', '.join(name for name, _ in commands)}")
    threads = cores_for_each(len(devices)) if set(devices) == {"cpu"} else None
    launched = launch(commands, store.shard, store.folder, screen.run(), threads=threads)
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


def _refuse_failed(launched: Launched, screen: Screen) -> None:
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
    asked: Arrangement, store: RunStore, place: Place, reader: JournalReader, screen: Screen
) -> FinishedRun:
    """Load all models and execute the run."""
    device = device_of(asked.config.device, screen, place.local_rank)

    from hnbench.runs.execute import execute

    asked = as_begun(replace(asked, config=replace(asked.config, device=device)), place.shard)
    methods = methods_of(asked)
    work = expected_work(asked, methods, reader)
    screen.say(work.sentence())
    screen.say(operations_of_run(asked, methods).sentence(work))
    experiment = experiment_of(asked, methods, screen)
    with store:
        tally = execute(experiment, store, screen.run())
        found = store.run()
    return FinishedRun(**vars(found), **vars(tally))


def experiment_of(asked: Arrangement, methods: Sequence[Method], screen: Screen) -> Experiment:
    """Load the models of a run, whose device must be chosen already."""
    from hnbench.runs.experiment import Experiment
    from hnbench.runs.preparation import prepare
    from hnbench.runs.rendering import refuse_equal_steps
    from hnbench.runs.steps import Steps

    config, suite = asked.config, asked.suite
    screen.announce(f"loading {config.generator}")
    generator = load_generator(config.generator, config.device, config.dtype, **options_of(config))
    refuse_equal_steps(generator, Steps(config.steps, config.render_steps))
    # Before the rewards are loaded and the folder is made: a wrong adapter costs nothing.
    texts = {prompt.id: prompt.text for prompt in suite.prompts()}
    prepared = prepare(methods, generator, texts)
    screen.announce(f"loading {', '.join([*config.optimised, *config.held_out])}")
    rewards = load_mixture(config.optimised, config.device, config.dtype)
    held_out = load_held_out(config.held_out, rewards, config.device, config.dtype)
    if config.compile:
        compile_models(generator, rewards, screen.note)
    experiment = Experiment(config, suite, generator, rewards, held_out, prepared)
    return fitted(experiment, screen) if asked.automatic else experiment
