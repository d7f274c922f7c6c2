"""What became of a plan: which planned records are done, failed or missing, and whether they say what was planned.

A record's id follows from what decides it, but a line can hold another label, prompt or sample beside that id. Each record is compared
with the one that the plan expects, so that a changed journal is refused instead of counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.errors import StoreError
from hnbench.runs.store import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from hnbench.runs.plan import Expected, Plan
    from hnbench.runs.record import Record

OPTIMISED = "optimised"
SAME_REWARD = 0.05
"""How far rewards of the same image may lie apart, relative to the larger of 1 and themselves: other hardware rounds otherwise."""


@dataclass(frozen=True)
class Coverage:
    """What became of a plan: `done` are records, in the plan's order; together the three are the whole plan."""

    done: tuple[Record, ...]
    failed: tuple[Record, ...]
    missing: tuple[Expected, ...]

    @property
    def expected(self) -> int:
        """The number of planned records: the denominator of every rate."""
        return len(self.done) + len(self.failed) + len(self.missing)


def cover(plan: Plan, records: Iterable[Record], folder: Path) -> Coverage:
    """Sort the plan into done, failed and missing, given the records of a run's folder (those of other plans are left aside).

    A record that says something else than the plan is a `StoreError` with its file and line.
    """
    known = {record.id: record for record in records}
    found: dict[str, list[Record]] = {"done": [], "failed": []}
    missing = []
    for item in plan.expected():
        record = known.get(item.id)
        if record is None:
            missing.append(item)
            continue
        base = known.get(plan.item(item.task, plan.labels[0]).id) if item.label != plan.labels[0] else record
        for wrong in _contradictions(plan, item, record, base):
            raise StoreError(
                f"{place_of(folder, record.id)} is damaged: {wrong}. Remove that line and run the same command to compute its sample again."
            )
        found[record.status].append(record)
    return Coverage(tuple(found["done"]), tuple(found["failed"]), tuple(missing))


def _contradictions(plan: Plan, item: Expected, record: Record, base: Record | None) -> Iterator[str]:
    planned = {
        "label": item.label,
        "prompt_id": item.task.prompt_id,
        "prompt": item.task.prompt,
        "sample": item.task.sample,
        "tag": item.tag,
        "base_seed": plan.base_seed,
    }
    for name, value in planned.items():
        if getattr(record, name) != value:
            yield f"{name} is {getattr(record, name)!r}, and the plan of run.json says {value!r}"
    if record.status == "failed":
        return
    if plan.judged != (record.verdict is not None):
        yield "it has no verdict, and the suite has a judge" if plan.judged else "it has a verdict, and the suite has no judge"
    yield from _wrong_rewards(plan.weights, plan.held_out, record.rewards)
    if base is not None and base.status == "done" and not _same(record.initial_rewards, base.rewards):
        yield f"its initial rewards are not those of the {plan.labels[0]} image of the same sample"


def _wrong_rewards(weights: Mapping[str, float], held_out: Iterable[str], rewards: Mapping[str, float]) -> Iterator[str]:
    differing = sorted(rewards.keys() ^ {OPTIMISED, *weights, *held_out})
    if differing:
        yield f"the reward {differing[0]!r} is {'not one of the run' if differing[0] in rewards else 'missing'}"
        return
    total = sum(weight * rewards[name] for name, weight in weights.items())
    largest = max(1.0, *(abs(weight * rewards[name]) for name, weight in weights.items()))
    if abs(total - rewards[OPTIMISED]) > 1e-4 * largest:
        yield f"its optimised reward is {rewards[OPTIMISED]:g}, and the weighted total of its parts {total:g}"


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one == other or (
        one.keys() == other.keys() and all(abs(value - other[name]) <= SAME_REWARD * max(1.0, abs(value)) for name, value in one.items())
    )
