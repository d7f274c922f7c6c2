"""The plan of a run: the records that it should have.

A plan follows from `run.json` alone: prompts, samples per prompt, labels and the methods that
produce them. Each planned (prompt, sample, label) that is not done is counted, as failed or as
missing (`hnbench.runs.coverage`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from hnbench.errors import UsageError
from hnbench.runs.identity import RecordIds, shared_identity
from hnbench.seeds import canonical
from hnbench.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hnbench.config import RunConfig
    from hnbench.methods.base import Method
    from hnbench.suites.base import Prompt, Suite


BASE = "random"
"""The label that every other one is compared with: the starting noise itself."""
ORACLE = "oracle"
"""The name of the built-in method that is given the judge's grade."""
OPTIMISED = "optimised"
"""The name under which a record has the weighted total of its optimised rewards."""


@dataclass(frozen=True)
class PlannedPrompt:
    """One prompt of the plan and its number of images (`samples`)."""

    id: str
    text: str
    tag: str
    samples: int


class Expected(NamedTuple):
    """One planned record."""

    id: str
    task: Task
    tag: str
    label: str


@dataclass(frozen=True)
class Plan:
    """The records that a run should have."""

    protocol: str
    """`"quick"` or `"full"`."""
    prompts: tuple[PlannedPrompt, ...]
    labels: tuple[str, ...]
    """In the order of the tables; the first is the base."""
    methods: tuple[Mapping[str, Any], ...]
    """The methods' identities."""
    method_of: Mapping[str, int]
    """Label -> index in `methods` of the method that produces it."""
    shared: Mapping[str, Any]
    """The part of the identity that all records of the run share (`shared_identity`)."""
    base_seed: int
    judged: bool
    """Whether the suite has a judge."""
    weights: Mapping[str, float]
    """Optimised reward -> weight."""
    held_out: tuple[str, ...]

    @cached_property
    def tasks(self) -> list[Task]:
        """All (prompt, sample) pairs, prompt by prompt."""
        return tasks_of(self.prompts)

    @property
    def size(self) -> int:
        """The number of planned records."""
        return len(self.tasks) * len(self.labels)

    @property
    def identities(self) -> dict[str, Mapping[str, Any]]:
        """Label -> identity of its method."""
        return {label: self.methods[self.method_of[label]] for label in self.labels}

    @cached_property
    def rewards(self) -> frozenset[str]:
        """The names of a record's rewards."""
        return frozenset({*self.weights, *self.held_out, OPTIMISED})

    @cached_property
    def _tags(self) -> dict[str, str]:
        return {prompt.id: prompt.tag for prompt in self.prompts}

    @cached_property
    def _ids(self) -> RecordIds:
        return RecordIds(self.shared)

    @cached_property
    def _methods(self) -> list[str]:
        return [canonical(method) for method in self.methods]

    def item(self, task: Task, label: str) -> Expected:
        """One planned record."""
        identity = self._ids.of(task, self._methods[self.method_of[label]], label)
        return Expected(identity, task, self._tags[task.prompt_id], label)

    def with_rows(self, rows: Mapping[str, Mapping[str, Any]]) -> Plan:
        """The same plan with more rows at its end: label -> identity of its method."""
        first = len(self.methods)
        return replace(
            self,
            labels=(*self.labels, *rows),
            methods=(*self.methods, *rows.values()),
            method_of={**self.method_of, **dict(zip(rows, count(first), strict=False))},
        )

    def expected(self) -> Iterator[Expected]:
        """All planned records, label by label, prompt by prompt, sample by sample."""
        for label in self.labels:
            for task in self.tasks:
                yield self.item(task, label)

    def to_json(self) -> dict[str, Any]:
        """The `"plan"` of `run.json`."""
        return {
            "protocol": self.protocol,
            "labels": list(self.labels),
            "methods": [dict(method) for method in self.methods],
            "method_of": dict(self.method_of),
            "prompts": [asdict(prompt) for prompt in self.prompts],
        }

    @staticmethod
    def from_manifest(manifest: Mapping[str, Any]) -> Plan:
        """The plan of a run's latest command, from its `run.json`."""
        plan = manifest["plan"]
        return Plan(
            protocol=plan["protocol"],
            prompts=tuple(PlannedPrompt(**prompt) for prompt in plan["prompts"]),
            labels=tuple(plan["labels"]),
            methods=tuple(plan["methods"]),
            method_of=plan["method_of"],
            **_shared_by_all(manifest),
        )


def _shared_by_all(described: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a plan that are the same for all records, from `run.json`."""
    return {
        "shared": shared_identity(described),
        "base_seed": described["config"]["base_seed"],
        "judged": described["suite"]["judge"] is not None,
        "weights": described["rewards"]["optimised"],
        "held_out": tuple(described["rewards"]["held_out"]),
    }


def make_plan(
    config: RunConfig, suite: Suite, methods: Sequence[Method], described: Mapping[str, Any]
) -> Plan:
    """The plan that a command asks for; `described` is the result of `identity.describe`.

    `UsageError` if two methods produce the same label, or if a prompt is not valid Unicode.
    """
    labels_of(methods)
    identities, method_of = _identities_of(methods)
    return Plan(
        protocol="full" if config.full else "quick",
        prompts=planned_prompts(config, suite),
        labels=tuple(method_of),
        methods=identities,
        method_of=method_of,
        **_shared_by_all(described),
    )


def labels_of(methods: Sequence[Method]) -> dict[str, int]:
    """Label -> index of the method that produces it. `UsageError` if two methods produce one."""
    method_of: dict[str, int] = {}
    for index, method in enumerate(methods):
        for label in method.labels:
            # A report finds its rows by label, so two methods with one label would become one row.
            if label in method_of:
                raise UsageError(
                    f"two of the methods give a row named {label!r}; ask for one of them at a time"
                )
            method_of[label] = index
    return method_of


def _identities_of(
    methods: Sequence[Method],
) -> tuple[tuple[dict[str, Any], ...], dict[str, int]]:
    """The methods' identities, and label -> index of its own among them. A method has several, if
    some of its rows are those of a method that ran before.
    """
    identities: list[dict[str, Any]] = []
    method_of: dict[str, int] = {}
    for method in methods:
        own: dict[str, int] = {}
        for label in method.labels:
            identity = method.identity_of(label)
            place = own.setdefault(canonical(identity), len(identities))
            if place == len(identities):
                identities.append(identity)
            method_of[label] = place
    return tuple(identities), method_of


def identities_in(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Label -> identity of its method, for all labels that commands have planned in a run's folder:
    those of the latest command first.
    """
    plan = manifest["plan"]
    latest = {label: plan["methods"][plan["method_of"][label]] for label in plan["labels"]}
    return {**latest, **manifest.get("earlier", {})}


def oracles_of(methods: Sequence[Method]) -> list[str]:
    """The labels of the methods that are given the judge's grade."""
    return [label for method in methods if method.sees_judge for label in method.labels]


def oracles_in(manifest: Mapping[str, Any]) -> list[str]:
    """The labels in a run's folder whose methods are given the judge's grade, those of earlier
    commands included. Runs of an older hnbench do not say it; their only oracle has that name.
    """
    known = identities_in(manifest)
    if "oracles" in manifest:
        return [label for label in manifest["oracles"] if label in known]
    return [label for label, identity in known.items() if identity.get("name") == ORACLE]


def planned_prompts(config: RunConfig, suite: Suite) -> tuple[PlannedPrompt, ...]:
    """The prompts that a command asks for. `UsageError` if one is not valid Unicode."""
    prompts = spread(suite.prompts() if config.full else suite.subset(), config.limit)
    for prompt in prompts:
        _require_unicode(prompt)
    return tuple(
        PlannedPrompt(item.id, item.text, item.tag, suite.samples(item, full=config.full))
        for item in prompts
    )


def tasks_of(prompts: Sequence[PlannedPrompt]) -> list[Task]:
    """All (prompt, sample) pairs, prompt by prompt."""
    return [
        Task(prompt.id, prompt.text, sample)
        for prompt in prompts
        for sample in range(prompt.samples)
    ]


def _require_unicode(prompt: Prompt) -> None:
    """Refuse half of a surrogate pair, which can be neither encoded nor written."""
    for text in (prompt.id, prompt.text, prompt.tag):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"the suite's prompt {prompt.id!r} is not valid Unicode: {text!r}; fix it in the"
                " suite"
            ) from None


def spread(prompts: Sequence[Prompt], limit: int | None) -> tuple[Prompt, ...]:
    """At most `limit` prompts, spread evenly over the tags, in their own order; all without a
    limit.

    The first prompt of each tag is chosen, then the second of each, and so on, so a larger limit
    includes all prompts of a smaller one.
    """
    if limit is None:
        return tuple(prompts)
    by_tag: defaultdict[str, list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        by_tag[prompt.tag].append(index)
    rounds = sorted(
        (rank, index) for indices in by_tag.values() for rank, index in enumerate(indices)
    )
    chosen = sorted(index for _, index in rounds[:limit])
    return tuple(prompts[index] for index in chosen)
