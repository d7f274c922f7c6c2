"""The parts of a table in a report's text, as GitHub Markdown: cells, rows and the table itself.

Everything that comes from a run folder (names, tags, prompts, notes, versions) is `escaped` where
it enters the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.labels import HYPERNOISE, method_of, style_of
from hnbench.reports.numbers import probability, spanned
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hnbench.reports.summary import Row


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---:") -> str:
    """A table. Its cells are Markdown already, and so are not escaped."""
    aligned = ["---", *[align] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, aligned, *rows])


def all_escaped(texts: Iterable[str]) -> list[str]:
    """Plain texts as cells."""
    return [escaped(text) for text in texts]


def named(label: str) -> str:
    """A method's name as a cell."""
    return escaped(style_of(label).name)


def name_of(row: Row) -> str:
    """The first cell of a row: the method's name, HyperNoise in bold, incomplete methods with ⚠."""
    name = named(row.label) + ("" if row.coverage.complete else " ⚠")
    return f"**{name}**" if method_of(row.label) == HYPERNOISE else name


def score_cells(row: Row) -> list[str]:
    """Three cells: the overall score, the gain over the base and its p-value."""
    if row.label == BASE:
        return [spanned(row.overall), "", ""]
    return [
        spanned(row.overall),
        spanned(row.gain, sign=True),
        probability(row.p_holm).removeprefix("p ").removeprefix("= "),
    ]
