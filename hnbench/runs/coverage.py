"""The coverage of a plan: which planned records are done, failed or missing, and whether their
content agrees with the plan.

A record's id is a hash of its identity, but a line of a changed journal can have another label,
prompt or sample next to that id. So each record is compared with the one that the plan expects, and
a changed journal is refused instead of counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.errors import StoreError
from hnbench.files.escaping import quoted
from hnbench.runs.journals import place_of
from hnbench.runs.plan import OPTIMISED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from hnbench.runs.plan import Expected, Plan
    from hnbench.runs.record import Record
    from hnbench.tasks import Task

SAME_TOTAL = 1e-4
"""The largest allowed difference between a total and the sum of its parts, relative to the larger
of 1 and the largest part. It is not zero, because rewards are rounded to seven digits.
"""
SAME_REWARD = 0.05
"""The largest allowed difference between two rewards of the same image, relative to the larger of 1
and the reward. It is not zero, because other hardware rounds differently.
"""


@dataclass(frozen=True)
class Coverage:
    """The records of a plan that are done, failed or missing, each in the plan's order; together
    they are the whole plan.
    """

    done: tuple[Record, ...]
    failed: tuple[Record, ...]
    missing: tuple[Expected, ...]

    @property
    def expected(self) -> int:
        """The number of planned records: the denominator of every rate."""
        return len(self.done) + len(self.failed) + len(self.missing)

    def of(self, prompts: Collection[str]) -> Coverage:
        """The part of some prompts, given by their ids."""
        return Coverage(
            tuple(record for record in self.done if record.prompt_id in prompts),
            tuple(record for record in self.failed if record.prompt_id in prompts),
            tuple(item for item in self.missing if item.task.prompt_id in prompts),
        )


def cover(plan: Plan, records: Iterable[Record], folder: Path) -> Coverage:
    """Sort the plan into done, failed and missing, given the records of a run's folder. Records of
    other plans are ignored.

    `StoreError`, with file and line, if a record contradicts the plan.
    """
    known = {record.id: record for record in records}
    found: dict[str, list[Record]] = {"done": [], "failed": []}
    missing = []
    bases: dict[Task, Record] = {}
    # The plan lists label by label, the base first, so a record's base is known when it is compared
    # with it.
    for item in plan.expected():
        record = known.get(item.id)
        if record is None:
            missing.append(item)
            continue
        base = (
            bases.setdefault(item.task, record)
            if item.label == plan.labels[0]
            else bases.get(item.task)
        )
        if wrong := _contradiction(plan, item, record, base):
            raise StoreError(
                f"{place_of(folder, record.id)} is damaged: {wrong}. Remove that line and run the"
                " same command to compute its sample again."
            )
        found[record.status].append(record)
    return Coverage(tuple(found["done"]), tuple(found["failed"]), tuple(missing))


def _contradiction(plan: Plan, item: Expected, record: Record, base: Record | None) -> str:
    """The first way in which a record contradicts the plan; empty if it agrees."""
    task = item.task
    planned = (item.label, task.prompt_id, task.prompt, task.sample, item.tag, plan.base_seed)
    found = (
        record.label,
        record.prompt_id,
        record.prompt,
        record.sample,
        record.tag,
        record.base_seed,
    )
    if found != planned:
        names = ("label", "prompt_id", "prompt", "sample", "tag", "base_seed")
        name, said, expected = next(
            three for three in zip(names, found, planned, strict=True) if three[1] != three[2]
        )
        return f"{name} is {quoted(said)}, and the plan of run.json says {quoted(expected)}"
    # The other checks concern the image, which a failed sample does not have.
    if record.status == "failed":
        return ""
    if plan.judged != (record.verdict is not None):
        return (
            "it has no verdict, and the suite has a judge"
            if plan.judged
            else "it has a verdict, and the suite has no judge"
        )
    if wrong := _wrong_reward(plan, record.rewards):
        return wrong
    if (
        base is not None
        and base.status == "done"
        and not _same(record.initial_rewards, base.rewards)
    ):
        return f"its initial rewards are not those of the {plan.labels[0]} image of the same sample"
    return ""


def _wrong_reward(plan: Plan, rewards: Mapping[str, float]) -> str:
    if rewards.keys() != plan.rewards:
        name = min(rewards.keys() ^ plan.rewards)
        return (
            f"the reward {quoted(name)} is {'not one of the run' if name in rewards else 'missing'}"
        )
    parts = [weight * rewards[name] for name, weight in plan.weights.items()]
    if abs(sum(parts) - rewards[OPTIMISED]) > SAME_TOTAL * max(1.0, *map(abs, parts)):
        return (
            f"its optimised reward is {rewards[OPTIMISED]:g}, and the weighted total of its parts"
            f" {sum(parts):g}"
        )
    return ""


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    # A report compares tens of thousands, and nearly all are equal, which is the quickest check.
    return one == other or (
        one.keys() == other.keys()
        and all(
            abs(value - other[name]) <= SAME_REWARD * max(1.0, abs(value))
            for name, value in one.items()
        )
    )
