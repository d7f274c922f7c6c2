"""The batch size of a call: a number, or chosen for the device (`"auto"`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from hnbench.errors import UsageError
from hnbench.runs.manifest import read_manifest
from hnbench.runs.plan import planned_prompts

if TYPE_CHECKING:
    from hnbench.api.arrangement import Arrangement
    from hnbench.display.screen import Screen
    from hnbench.runs.experiment import Experiment
    from hnbench.runs.shards import Shard

BatchSize = int | str
"""A number from 1, also as text, or `"auto"`."""


def parse_batch_size(given: BatchSize) -> int | Literal["auto"]:
    """The batch size that was asked for. `UsageError` for anything but a number from 1 and "auto".

    >>> parse_batch_size("8")
    8
    >>> parse_batch_size("auto")
    'auto'
    """
    if given == "auto":
        return "auto"
    try:
        size = int(given)
    except ValueError:
        size = 0
    if size < 1:
        raise UsageError(f"`batch_size` was {given}; it must be at least 1, or auto")
    return size


def as_begun(asked: Arrangement, shard: Shard) -> Arrangement:
    """The same run with the batch sizes of its first session, or of this shard's first one, so that
    a continued run makes the same batches. Nothing changes if a batch size was asked for, or if
    nothing was begun.
    """
    manifest = read_manifest(asked.folder) if asked.automatic else None
    sessions = manifest.get("sessions", []) if manifest else []
    own = [session for session in sessions if session.get("shard") == str(shard)]
    for session in own or sessions:
        if session.get("batch_size", 0) > 0:
            config = replace(
                asked.config,
                batch_size=session["batch_size"],
                gradient_batch_size=session.get("gradient_batch_size"),
            )
            return replace(asked, config=config, automatic=False)
    return asked


def fitted(experiment: Experiment, screen: Screen) -> Experiment:
    """The same experiment with the batch sizes that fit its device; the user is told which."""
    from hnbench.devices.transfers import has_queue
    from hnbench.runs.batch_sizes import run_batch_sizes

    config = experiment.config
    if not has_queue(experiment.generator.device):
        return experiment
    screen.announce("finding the batch size")
    size, gradient = run_batch_sizes(
        experiment.generator,
        experiment.rewards,
        planned_prompts(config, experiment.suite)[0].text,
        steps=config.steps,
        memory=config.memory,
    )
    screen.say(f"batch size {size}, and {gradient} for methods that need the gradient")
    return replace(
        experiment, config=replace(config, batch_size=size, gradient_batch_size=gradient)
    )
