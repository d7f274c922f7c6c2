"""The differences that a run of this size can tell from zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hnbench.reports.labels import is_oracle
from hnbench.reports.numbers import number
from hnbench.reports.sections.cells import named, table
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The smallest detectable difference of each method to the base, to HyperNoise and to the
    others; empty without a judge, and if no spread is known.
    """
    known = {
        frozenset((pair.first, pair.second)): pair.detectable
        for pair in summary.pairs
        if not math.isnan(pair.detectable)
    }
    if not (summary.pool.judged and known):
        return ""
    rows = [label for label in summary.rows if label != BASE and not is_oracle(label)]
    against = [BASE, *([summary.hypernoise] if summary.hypernoise else [])]
    lines = [
        [
            named(label),
            *(_span(known, label, [other]) for other in against),
            _span(known, label, rows),
        ]
        for label in rows
    ]
    header = ["method", *(f"to {named(other)}" for other in against), "to the other methods"]
    return "\n\n".join(["## Power", table(header, lines), _NOTE])


def _span(known: Mapping[frozenset[str], float], label: str, others: Sequence[str]) -> str:
    """The smallest and the largest detectable difference to some rows."""
    pairs = [frozenset((label, other)) for other in others if other != label]
    found = [number(known[pair]) for pair in pairs if pair in known]
    return " to ".join(dict.fromkeys([min(found), max(found)])) if found else ""


_NOTE = (
    "The smallest difference in the overall score that a two-sided test at 5% finds in 80 of 100"
    " runs of this size, by the spread of this run's paired differences. p-values that are adjusted"
    " for several comparisons need more. `pairs.csv` has every pair; `hnbench plan` says how many"
    " prompts and seeds a difference needs."
)
