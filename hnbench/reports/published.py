"""Numbers that papers report, as data, and beside a run's own where benchmark, model and steps are
the same.

A published number is never taken for a run's own: its judge, its source and what is known to differ
stand beside it.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Interval


@dataclass(frozen=True)
class PublishedScore:
    """One number of one table."""

    model: str
    """Named as the generator is here, where it is here."""
    method: str
    """Named as the row of a report is, where there is such a row; `random` is the model as it
    comes.
    """
    steps: int | None
    """Steps of the generator; None where the model has its own usual number of them."""
    benchmark: str
    """Named as the suite is here."""
    tag: str
    """One task of the benchmark, or `overall`."""
    value: float
    """In the benchmark's own unit: a share for geneval and t2i-compbench, percent for dpg."""
    judge: str
    source: str
    note: str


@cache
def load_published() -> tuple[PublishedScore, ...]:
    """All of them, in the order of the file."""
    with Path(__file__).with_name("published.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_published(**row) for row in csv.DictReader(file))


def _published(*, steps: str, value: str, **texts: str) -> PublishedScore:
    return PublishedScore(steps=int(steps) if steps else None, value=float(value), **texts)


def beside(summary: Summary) -> list[tuple[PublishedScore, Interval | None]]:
    """The published numbers of the run's benchmark, model and steps, each with the run's own (None
    where it has no such row).
    """
    manifest = summary.pool.manifests[0]
    benchmark = str(manifest["suite"]["name"]).partition(":")[0]
    model, steps = manifest["generator"]["name"], manifest["config"].get("steps")
    found = [
        one
        for one in load_published()
        if (one.benchmark, one.model, one.steps) == (benchmark, model, steps)
    ]
    return [(one, _own(summary, one)) for one in found]


def _own(summary: Summary, published: PublishedScore) -> Interval | None:
    row = summary.rows.get(published.method)
    interval = (
        None
        if row is None
        else row.overall
        if published.tag == "overall"
        else row.tags.get(published.tag)
    )
    return None if interval is None or math.isnan(interval.estimate) else interval
