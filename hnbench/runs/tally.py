"""The numbers of records at the end of a session."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.runs.coverage import cover
from hnbench.runs.failures import told
from hnbench.runs.store import with_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.runs.plan import Plan
    from hnbench.runs.record import Record
    from hnbench.runs.shards import Shard
    from hnbench.runs.store import RunStore

NO_BASE = "BaseFailed"
"""The type of a failure that only follows from the failure of the base."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The numbers of records after a run, and why most of the failed ones failed.

    Without a shard, the numbers of the whole run are the same as those of this session.
    """

    shard: Shard
    expected: int
    """The number of records in the shard's part of the plan."""
    done: int
    failed: int
    """The number of failed ones. They say why, and the same command tries them again."""
    new: int
    """The number of records that this session wrote, done or failed."""
    run_expected: int
    """The number of records in the whole plan."""
    run_done: int
    run_failed: int
    commonest: str = ""
    """The most frequent failure of the shard, with its number; empty if none failed."""

    @property
    def complete(self) -> bool:
        """Whether no sample of the whole plan is missing: all are done or failed."""
        return self.run_done + self.run_failed == self.run_expected


def tally_of(plan: Plan, store: RunStore, written: int) -> Tally:
    """The numbers at the end of a session that wrote `written` records. A done record whose image
    was lost and could not be made again counts as failed; that of another shard, as missing.
    """
    coverage = cover(plan, store.records.values(), store.folder)
    own = store.shard.prompts(plan)
    mine = coverage.of(own)
    there = with_image(store.folder, coverage.done)
    done = sum(record.id in there for record in mine.done)
    failed = len(mine.failed) + len(mine.done) - done
    others = [record for record in coverage.done if record.prompt_id not in own]
    return Tally(
        shard=store.shard,
        expected=mine.expected,
        done=done,
        failed=failed,
        new=written,
        run_expected=coverage.expected,
        run_done=done + sum(record.id in there for record in others),
        run_failed=failed + len(coverage.failed) - len(mine.failed),
        commonest=_commonest(mine.failed),
    )


def _commonest(failed: Sequence[Record]) -> str:
    """The most frequent failure, with its number. Those that only follow from the base's failure
    are not counted: they do not say what is wrong.
    """
    reasons = Counter(
        told(record.error) for record in failed if record.error and record.error.type != NO_BASE
    )
    return "; ".join(f"{count} times {reason}" for reason, count in reasons.most_common(1))
