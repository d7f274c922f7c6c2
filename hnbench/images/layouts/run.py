"""A run folder's images: those of its plan and of earlier commands, label by label, each with the
SHA-256 in its record.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.images.inventory import NOT_ASKED_FOR, NOT_DONE, Findings, FoundImage
from hnbench.runs.coverage import cover
from hnbench.runs.plan import Plan, identities_in
from hnbench.suites.base import Prompt, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.images.inventory import Inventory
    from hnbench.runs.store import Run


class PlannedSuite(Suite):
    """A run's suite as recorded in `run.json`: the prompts of the plan, without the metadata and
    the judge, which only the suite itself has.
    """

    def __init__(self, run: Run) -> None:
        suite = run.manifest["suite"]
        self.name, self.version, self.tags = suite["name"], suite["version"], tuple(suite["tags"])
        planned = Plan.from_manifest(run.manifest).prompts
        self._prompts = tuple(Prompt(one.id, one.text, one.tag) for one in planned)
        self._samples = {one.id: one.samples for one in planned}

    def prompts(self) -> tuple[Prompt, ...]:
        return self._prompts

    def subset(self) -> tuple[Prompt, ...]:
        return self._prompts

    def samples(self, prompt: Prompt, *, full: bool) -> int:  # noqa: ARG002
        return self._samples[prompt.id]

    def judge(self, *, device: str = "cpu") -> None:  # noqa: ARG002
        return None


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's."""
    return (folder / "run.json").is_file()


def labels_of(run: Run, asked: Sequence[str]) -> tuple[str, ...]:
    """The labels that were asked for, which may be those of earlier commands, or all of the plan.
    An unknown one is a `UsageError` that lists the known ones.
    """
    known = identities_in(run.manifest)
    for label in asked:
        if label not in known:
            raise UsageError(
                f"{run.folder} has no label {label!r}; choose from: {', '.join(known)}"
            )
    return tuple(dict.fromkeys(asked)) or Plan.from_manifest(run.manifest).labels


def read_run_images(run: Run, suite: Suite | None, labels: Sequence[str] = ()) -> Inventory:
    """The images of some labels, or of all. Planned samples that are not done are a problem, and so
    are prompts that the suite does not have.

    If `suite` is None, it is taken from the run's plan, so that only the folder is needed.
    """
    folder = run.folder
    suite = suite or PlannedSuite(run)
    chosen = labels_of(run, labels)
    earlier = run.manifest.get("earlier", {})
    plan = Plan.from_manifest(run.manifest).with_rows(
        {label: earlier[label] for label in chosen if label in earlier}
    )
    prompts = {prompt.id: prompt for prompt in suite.prompts()}
    findings = Findings()
    strangers = set()
    for planned in plan.prompts:
        own = prompts.get(planned.id)
        if own is None or (own.text, own.tag) != (planned.text, planned.tag):
            strangers.add(planned.id)
            findings.problem(NOT_ASKED_FOR, planned.id)
    records = {record.id: record for record in cover(plan, run.records, folder).done}
    numbers: Counter[tuple[str, str]] = Counter()
    for item in (item for item in plan.expected() if item.label in chosen):
        record = records.get(item.id)
        # Counted for every planned sample, so that a missing one does not shift the others.
        number = numbers[item.label, item.tag]
        numbers[item.label, item.tag] += 1
        if record is None or record.image is None:
            findings.problem(NOT_DONE, f"{item.label} {item.task.prompt_id} {item.task.sample}")
        elif item.task.prompt_id not in strangers:
            prompt = prompts[item.task.prompt_id]
            image = FoundImage(
                folder,
                record.image.path,
                prompt,
                item.task.sample,
                item.label,
                record.image.sha256,
                number,
            )
            findings.images.append(image)
    return findings.inventory(folder, "run", suite)


def base_of(run: Run) -> str:
    """The label that all others of a run are compared with."""
    base: str = Plan.from_manifest(run.manifest).labels[0]
    return base
