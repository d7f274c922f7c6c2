"""The rewards of every method, optimised and held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.numbers import number, spanned
from hnbench.reports.sections.cells import name_of, table
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from hnbench.reports.summary import Row, Summary


def section(summary: Summary) -> str:
    """The mean rewards, with the gains over random noise in its standard deviations."""
    pool = summary.pool
    # If only one reward is optimised, the total would only repeat it.
    parts = list(pool.optimised) if len(pool.optimised) > 1 else []
    names = ["optimised", *parts, *pool.held_out]
    header = ["method", "optimised", *(f"{escaped(name)} (optimised)" for name in parts)]
    header += [f"{escaped(name)} (held out)" for name in pool.held_out]
    rows = [[name_of(row), *(_cell(row, name) for name in names)] for row in summary.rows.values()]
    weights = ", ".join(f"{weight:g} x {escaped(name)}" for name, weight in pool.optimised.items())
    note = (
        f"The optimised reward is {weights}. Each cell has the mean reward of the saved images and,"
        " in brackets, the paired gain over random noise in standard deviations of random noise's"
        " rewards. Methods chose or optimised images by the optimised reward, so its gain is biased"
        " in their favour. No method saw the held-out rewards or the judge."
    )
    return f"## Rewards\n\n{table(header, rows)}\n\n{note}"


def _cell(row: Row, name: str) -> str:
    level = number(row.rewards[name].estimate)
    if row.label == BASE or name not in row.standard_gains:
        return level
    return f"{level} ({spanned(row.standard_gains[name], sign=True, digits=2)} sd)"
