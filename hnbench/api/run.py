"""`hnbench.run`: runs methods on a suite. `hnbench.load_run`: reads a run's folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hnbench.api.arguments import Several, Weights, device_of, options_of
from hnbench.api.arrangement import Arrangement, arrange
from hnbench.api.expectation import expected_work
from hnbench.api.finished import already_finished
from hnbench.catalogue.loading import (
    Dtype,
    load_generator,
    load_mixture,
    load_reward,
    make_methods,
)
from hnbench.display.screen import Screen
from hnbench.runs.plan import Plan
from hnbench.runs.store import Run, read_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.methods.base import Method
    from hnbench.runs.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class FinishedRun(Run):
    """A run, and how much of its plan is done."""

    expected: int
    """The number of samples in the plan, over all labels."""
    done: int
    failed: int
    """The number of failed samples. Their records say why; the same call tries them again."""
    new: int
    """The number of records that this call wrote, done or failed."""
    commonest: str
    """The most common reason of failures, and how many samples it hit; empty if none failed."""


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
    progress: bool = True,
) -> FinishedRun:
    """Run methods on a suite, from the same prompts and the same starting noises.

    The same call again continues a run that was interrupted; a call with more methods or `full`
    adds to it. `hnbench run --help` describes the parameters; `progress` shows bars on stderr. A
    failed sample has a record too and is counted in the result; it raises nothing.

    Raises `UsageError` for arguments that cannot be used, before any work; `StoreError` for a
    folder of another run, or one that cannot be written.
    """
    with Screen(shown=progress) as screen:
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
            optimise=optimise,
            hold_out=hold_out,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            steps=steps,
            image_size=image_size,
            prompt_prefix=prompt_prefix,
            max_sequence_length=max_sequence_length,
            intermediate_timesteps=intermediate_timesteps,
            memory=memory,
            noise_policy=noise_policy,
            out=out,
        )
        found = already_finished(asked)
        if found is None:
            return _execute(asked, screen)
        planned = Plan.from_manifest(found.manifest).size
        return FinishedRun(
            **vars(found), expected=planned, done=planned, failed=0, new=0, commonest=""
        )


def _execute(asked: Arrangement, screen: Screen) -> FinishedRun:
    """Load all models and execute the run."""
    device = device_of(asked.config.device, screen)

    from hnbench.runs.execute import execute
    from hnbench.runs.store import RunStore

    asked = replace(asked, config=replace(asked.config, device=device))
    methods = make_methods(asked.config.methods, asked.preset, asked.adapters)
    screen.say(expected_work(asked, methods).sentence())
    experiment = experiment_of(asked, methods, screen)
    with RunStore(asked.folder) as store:
        tally = execute(experiment, store, screen.run())
        found = store.run()
    return FinishedRun(**vars(found), **vars(tally))


def experiment_of(asked: Arrangement, methods: Sequence[Method], screen: Screen) -> Experiment:
    """Load the models of a run, whose device must be chosen already."""
    from hnbench.runs.experiment import Experiment
    from hnbench.runs.preparation import prepare

    config, suite = asked.config, asked.suite
    screen.announce(f"loading {config.generator}")
    generator = load_generator(config.generator, config.device, config.dtype, **options_of(config))
    # Before the rewards are loaded and the folder is made: a wrong adapter costs nothing.
    texts = {prompt.id: prompt.text for prompt in suite.prompts()}
    prepared = prepare(methods, generator, texts)
    screen.announce(f"loading {', '.join([*config.optimised, *config.held_out])}")
    rewards = load_mixture(config.optimised, config.device, config.dtype)
    held_out = [load_reward(name, config.device, config.dtype) for name in config.held_out]
    return Experiment(config, suite, generator, rewards, held_out, prepared)
