"""The main table: score, gain and cost of every method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hnbench.reports.costs import PASSES, SECONDS, TFLOPS, unit_of
from hnbench.reports.notes import interval_notes, judge_notes, timing_notes
from hnbench.reports.numbers import amount
from hnbench.reports.sections.cells import all_escaped, name_of, score_cells, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from hnbench.reports.summary import Row, Summary

    _Column = tuple[str, Callable[[Row], str]]
    """A header, and a function that makes the cell of a row."""


def _cost_columns(summary: Summary) -> list[_Column]:
    """The costs that are known."""
    rows = summary.rows.values()
    columns: list[_Column] = [
        ("generator passes", lambda row: amount(row.costs[PASSES].estimate)),
        ("s/image", lambda row: amount(row.costs[SECONDS].estimate)),
    ]
    if summary.work == TFLOPS:
        unit, factor = unit_of(row.costs[TFLOPS].estimate for row in rows)
        columns.insert(
            0, (f"{unit}/image", lambda row: amount(row.costs[TFLOPS].estimate * factor))
        )
    if not all(math.isnan(row.peak_memory_bytes) for row in rows):
        columns.append(("peak memory, MiB", lambda row: amount(row.peak_memory_bytes / 2**20)))
    return columns


def section(summary: Summary) -> str:
    """The main table, and the notes that a reader needs to understand it."""
    judged = summary.pool.judged
    scores = ["overall [95%]", "Δ base, paired [95%]", "p (Holm)"] if judged else []
    costs = _cost_columns(summary)
    header = ["method", *scores, *(name for name, _ in costs)]
    rows = [
        [
            name_of(row),
            *(score_cells(row) if judged else ()),
            *(cell(row) for _, cell in costs),
        ]
        for row in summary.rows.values()
    ]
    score = (
        "Overall is the unweighted mean of the tag means."
        if judged
        else "This suite has no judge, so there is no score."
    )
    counted = (
        "Floating-point operations are those of products of matrices, convolutions and attention"
        " in generator, hypernetwork and reward, forward and backward."
        if summary.work == TFLOPS
        else "Floating-point operations are not known for all of these images, so they are left"
        " out."
    )
    note = (
        f"{score} {counted} Generator passes are forward and backward passes, each counted as one;"
        " the reward's passes are not among them. Seconds were measured on this machine at this"
        " batch size."
    )
    notes = all_escaped(
        [*judge_notes(summary.pool), *timing_notes(summary), *interval_notes(summary)]
    )
    return "\n\n".join(["## Methods", table(header, rows), note, *notes])
