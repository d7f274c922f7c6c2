"""The share of accepted proposals of the methods that are Markov chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.reports.sections.cells import name_of, table

if TYPE_CHECKING:
    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The mean over samples, with the smallest and the largest; empty without a chain."""
    found = summary.pool.values("acceptance")
    rows = []
    for column, label in enumerate(summary.pool.labels):
        known = found[:, column][~np.isnan(found[:, column])]
        if len(known):
            cell = f"{known.mean():.0%} ({known.min():.0%} to {known.max():.0%})"
            rows.append([name_of(summary.rows[label]), cell])
    if not rows:
        return ""
    note = (
        "The mean over samples, with the smallest and the largest. A chain that hardly accepts"
        " stays near its starting noise."
    )
    return "\n\n".join(["## Acceptance", table(["method", "accepted proposals"], rows), note])
