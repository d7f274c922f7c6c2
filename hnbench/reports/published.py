"""Numbers that papers report, as data, and next to a run's own numbers if benchmark, model and
steps are the same.

A published number cannot be mistaken for a run's own: it is always shown with its judge, its source
and the known differences.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.reports.labels import rows_of, style_of
from hnbench.reports.numbers import spanned

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Interval


@dataclass(frozen=True)
class PublishedScore:
    """One number of one table."""

    model: str
    """The generator's name in hnbench, if hnbench has it."""
    method: str
    """The name of the method, or best-of-N; `random` is the model without any search."""
    steps: int | None
    """Steps of the generator; None for the model's own usual number."""
    benchmark: str
    """The suite's name in hnbench."""
    tag: str
    """One task of the benchmark, or `overall`."""
    value: float
    """In the benchmark's own unit: a share for geneval and t2i-compbench, percent for dpg."""
    judge: str
    source: str
    note: str


@cache
def load_published() -> tuple[PublishedScore, ...]:
    """All published numbers, in the order of the file."""
    with Path(__file__).with_name("published.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_published(**row) for row in csv.DictReader(file))


def _published(*, steps: str, value: str, **texts: str) -> PublishedScore:
    return PublishedScore(steps=int(steps) if steps else None, value=float(value), **texts)


def next_to_ours(summary: Summary) -> list[tuple[PublishedScore, str, Interval | None]]:
    """The published numbers of the run's benchmark, model and steps, each with a row of that method
    in the run, and its own number (None if the run has no such row).
    """
    manifest = summary.pool.manifests[0]
    benchmark = str(manifest["suite"]["name"]).partition(":")[0]
    model, config = manifest["generator"]["name"], manifest["config"]
    if config.get("render_steps") is not None:
        return []  # no published search has images of other steps than its own
    steps = config.get("steps")
    found = [
        one
        for one in load_published()
        if (one.benchmark, one.model, one.steps) == (benchmark, model, steps)
    ]
    return [
        (one, label, _own(summary, one.tag, label))
        for one in found
        for label in _rows_of(summary, one.method)
    ]


def published_lines(summary: Summary) -> list[str]:
    """One sentence for each published number of the same benchmark, model and steps, with the run's
    own number.
    """
    return [
        f"{style_of(label).name}, {one.tag}: published {one.value:g} ({one.source}; judge"
        f" {one.judge}), this run {spanned(own) if own else 'has none'}."
        for one, label, own in next_to_ours(summary)
    ] or ["No published number is known of this benchmark, model and number of steps."]


def _rows_of(summary: Summary, method: str) -> list[str]:
    """The rows of a published method: all its settings, or its name alone if there are none."""
    return rows_of(summary.rows, method) or [method]


def _own(summary: Summary, tag: str, label: str) -> Interval | None:
    row = summary.rows.get(label)
    interval = None if row is None else row.overall if tag == "overall" else row.tags.get(tag)
    return None if interval is None or math.isnan(interval.estimate) else interval
