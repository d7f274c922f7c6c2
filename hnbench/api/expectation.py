"""The work of a run that was asked for, known before any model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.runs.finished import is_of
from hnbench.runs.manifest import read_manifest
from hnbench.runs.plan import labels_of, make_plan, planned_prompts, tasks_of
from hnbench.runs.steps import Steps
from hnbench.runs.store import read_run, with_image
from hnbench.runs.workload import Workload, workload_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.api.arrangement import Arrangement
    from hnbench.methods.base import Method
    from hnbench.runs.journals import JournalReader
    from hnbench.runs.store import Run
    from hnbench.runs.workload import Done


def expected_work(asked: Arrangement, methods: Sequence[Method], reader: JournalReader) -> Workload:
    """The whole work of a run, and what is left of it: what its folder already has is done.

    `UsageError` if two methods produce the same label. A method that cannot run on the generator is
    included, because only the loaded generator can say so. `reader` is that of the folder's
    journals.
    """
    config = asked.config
    labels_of(methods)
    return workload_of(
        methods,
        tasks_of(planned_prompts(config, asked.suite)),
        _done(asked, methods, reader),
        steps=Steps(config.steps, config.render_steps),
        batch_size=config.batch_size,
        gradient_batch_size=config.gradient_batch_size,
    )


def lost_images(asked: Arrangement, reader: JournalReader) -> int:
    """The number of finished samples in the run's folder whose image is no longer there; 0 in a
    folder of another run.
    """
    there = _there(asked, reader)
    finished = [record for record in there.records if record.image] if there else []
    return len(finished) - len(with_image(asked.folder, finished))


def _done(asked: Arrangement, methods: Sequence[Method], reader: JournalReader) -> set[Done]:
    """The planned records that the folder has, with their images. Without the prompts' texts, none
    can be recognised.
    """
    there = None if asked.missing else _there(asked, reader)
    if there is None:
        return set()
    # What is not in the configuration, the fingerprints of the models, is taken from run.json.
    plan = make_plan(asked.config, asked.suite, methods, there.manifest)
    found = with_image(asked.folder, there.records)
    return {
        (item.label, item.task.prompt_id, item.task.sample)
        for item in plan.expected()
        if item.id in found
    }


def _there(asked: Arrangement, reader: JournalReader) -> Run | None:
    """The run in the folder, if it is the one that was asked for. The run itself refuses the folder
    of another one.
    """
    manifest = read_manifest(asked.folder)
    if manifest is None or not is_of(manifest, asked.config, asked.suite):
        return None
    return read_run(asked.folder, reader)
