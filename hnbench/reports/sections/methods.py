"""The main table: score, gain and cost of every method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.reports.notes import interval_notes, timing_notes
from hnbench.reports.numbers import amount
from hnbench.reports.sections.cells import all_escaped, name_of, score_cells, table

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The main table, and the notes that a reader needs to understand it."""
    judged = summary.pool.judged
    scores = ["overall [95%]", "Δ base, paired [95%]", "p (Holm)"] if judged else []
    header = ["method", *scores, "generator passes", "all passes", "s/image", "peak memory, MiB"]
    rows = [
        [
            name_of(row),
            *(score_cells(row) if judged else ()),
            *(amount(row.costs[name].estimate) for name in ("nfe", "passes", "seconds")),
            amount(row.peak_memory_bytes / 2**20),
        ]
        for row in summary.rows.values()
    ]
    score = (
        "Overall is the unweighted mean of the tag means."
        if judged
        else "This suite has no judge, so there is no score."
    )
    note = (
        f"{score} Generator passes are forward passes (NFE). All passes are those of generator and"
        " reward; a backward pass counts as two forward passes. Seconds were measured on this"
        " machine at this batch size."
    )
    notes = all_escaped([*timing_notes(summary), *interval_notes(summary)])
    return "\n\n".join(["## Methods", table(header, rows), note, *notes])
