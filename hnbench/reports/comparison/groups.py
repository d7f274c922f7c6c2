"""The runs of a comparison as groups: runs that differ only in the base seed are pooled, and all
groups are reduced to the prompts that they have in common.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError
from hnbench.reports.pool import pool_runs
from hnbench.reports.summary import seen_prompts
from hnbench.runs.plan import Plan
from hnbench.runs.store import Run, read_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hnbench.reports.pool import Pool
    from hnbench.runs.plan import PlannedPrompt


@dataclass(frozen=True)
class Group:
    """Runs of one identity under one or more base seeds."""

    name: str
    """The name that the user gave, or the name of the first run's folder."""
    named: bool
    """Whether the user gave the name."""
    pool: Pool

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The `run.json` of the first run."""
        return self.pool.manifests[0]

    @property
    def shared(self) -> Mapping[str, Any]:
        """The identity that all records of the group share, without the base seed."""
        return _without_seed(Plan.from_manifest(self.manifest))

    @property
    def device(self) -> str:
        """The kinds of device of the first run's sessions: `"cpu"`, `"cuda"`, `"cpu+cuda"`."""
        return _device(self.manifest)

    @property
    def judge(self) -> str | None:
        """The fingerprint of the judge; None without one."""
        found = self.manifest["suite"]["judge"]
        return None if found is None else str(found["fingerprint"])


def grouped(given: Sequence[tuple[str | None, Run | Path]]) -> list[Group]:
    """The groups of runs, each given with its name or None, in the order in which they were given.

    Runs of the same name, or of equal identity, rows, prompts and kind of device without a name,
    form a group.
    `UsageError` if no run was given, if the suites differ, or if a group cannot be pooled;
    `StoreError` if a run is damaged.
    """
    if not given:
        raise UsageError(
            "no run was given; name the run folders, for example `hnbench compare results/a"
            " results/b`"
        )
    found: dict[str, list[Run]] = {}
    names: dict[str, tuple[str, bool]] = {}
    for name, one in given:
        run = one if isinstance(one, Run) else read_run(one)
        key = f"name {name}" if name is not None else _identity(run)
        found.setdefault(key, []).append(run)
        names.setdefault(key, (name or run.folder.resolve().name, name is not None))
    groups = _distinct([Group(*names[key], pool_runs(runs)) for key, runs in found.items()])
    for other in groups[1:]:
        _require_same_suite(groups[0], other)
    return groups


def on_common_prompts(groups: Sequence[Group], *, unseen: bool) -> tuple[list[Group], list[str]]:
    """The groups with the prompts that all of them have, and a sentence on each reason for which
    prompts are left out. With `unseen`, prompts that any of the trainings saw are left out too.

    `UsageError` if no prompt is left.
    """
    sizes = [len(group.pool.prompts) for group in groups]
    common = set.intersection(*({_key(one) for one in group.pool.prompts} for group in groups))
    if not common:
        raise UsageError(
            "the runs have no prompt in common, so there is nothing to compare; compare runs of the"
            " same prompts"
        )
    notes = [
        f"{size - len(common)} of the {size} prompts of {group.name} are left out: not all runs"
        " have them."
        for group, size in zip(groups, sizes, strict=True)
        if size > len(common)
    ]
    kept = [_with(group, common) for group in groups]
    seen, unknown = _seen(kept)
    notes += [
        f"The training of {name} does not say which prompts it saw, so this was not checked."
        for name in unknown
    ]
    if not seen:
        return kept, notes
    if not unseen:
        notes.append(
            f"{len(seen)} of the {len(common)} prompts were among the training prompts of a"
            " compared method; they are part of the numbers (on=all)."
        )
        return kept, notes
    left = {key for key in common if key[0] not in seen}
    if not left:
        raise UsageError(
            "the trainings saw all prompts of these runs, so none is left; compare with on=all"
        )
    notes.append(
        f"{len(seen)} of the {len(common)} prompts are left out: a training of a compared method"
        " saw them (on=unseen)."
    )
    return [_with(group, left) for group in kept], notes


def _distinct(groups: Sequence[Group]) -> list[Group]:
    """The groups; folders of the same name are named by their paths."""
    names = [group.name for group in groups]
    return [
        replace(group, name=str(group.pool.folders[0])) if names.count(group.name) > 1 else group
        for group in groups
    ]


def _seen(groups: Sequence[Group]) -> tuple[set[str], list[str]]:
    """The ids of the prompts that any training saw, and the trainings that do not say."""
    seen: set[str] = set()
    unknown: list[str] = []
    for group in groups:
        for name, found in seen_prompts(group.pool).items():
            if found is None:
                unknown.append(f"{name} ({group.name})")
            seen.update(found or ())
    return seen, unknown


def _key(prompt: PlannedPrompt) -> tuple[str, str, str]:
    return prompt.id, prompt.text, prompt.tag


def _with(group: Group, kept: set[tuple[str, str, str]]) -> Group:
    absent = {prompt.id for prompt in group.pool.prompts if _key(prompt) not in kept}
    return replace(group, pool=group.pool.without(absent)) if absent else group


def _without_seed(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in plan.shared.items() if name != "base_seed"}


def _identity(run: Run) -> str:
    plan = Plan.from_manifest(run.manifest)
    prompts = [[prompt.id, prompt.text, prompt.samples] for prompt in plan.prompts]
    settings = [_without_seed(plan), plan.identities, prompts, _device(run.manifest)]
    return json.dumps(settings, sort_keys=True)


def _device(manifest: Mapping[str, Any]) -> str:
    devices = (str(one.get("device", "")) for one in manifest.get("sessions", []))
    return "+".join(sorted({device.split(":")[0] for device in devices}))


def _require_same_suite(first: Group, other: Group) -> None:
    ours, theirs = (
        f"{group.manifest['suite']['name']} (version {group.manifest['suite']['version']})"
        for group in (first, other)
    )
    if ours != theirs:
        raise UsageError(
            f"{first.name} is a run of the suite {ours} and {other.name} one of {theirs}: they have"
            " nothing in common that could be compared; compare runs of one suite"
        )
