"""Fits tables to their terminal: a table that is too wide is wrapped between words, else divided
into several tables, else printed as stacked lines.

Nothing is cut off: a number without its last digits, or two names that look the same, are worse
than a longer page. Cells are plain text: no markup of rich, no control characters.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from hnbench.files.escaping import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Column

_UNLIMITED = 1_000_000
"""A width in columns that no table reaches."""


def fitted(tables: Sequence[Table], console: Console) -> list[RenderableType]:
    """The tables in a form that `console` prints without an ellipsis. A caption follows the last
    part of its table.
    """
    return _separated([part for table in tables for part in _fitted(_as_text(table), console)])


def fits(table: Table, console: Console) -> bool:
    """Whether every column has room for its longest word, or its longest line if it cannot wrap."""
    return _fits(_as_text(table), console)


def _fits(table: Table, console: Console) -> bool:
    return (
        _extra(table, console) + sum(_narrowest(column) for column in table.columns)
        <= console.width
    )


def _as_text(table: Table) -> Table:
    """The same table, with headers, cells and caption as plain text that shows every character."""
    shown = _part(table, range(len(table.columns)))
    shown.caption_justify, shown.caption = (
        table.caption_justify,
        None if table.caption is None else _in_lines(table.caption),
    )
    return shown


def _in_lines(text: RenderableType) -> Text:
    """A header or a caption as plain text; it may have several lines."""
    return Text("\n".join(printable(line) for line in str(text).split("\n")))


def _fitted(table: Table, console: Console) -> list[RenderableType]:
    if _fits(table, console):
        _share_width(table, console)
        return [table]
    keys = _keys(table)
    groups = _groups(table, keys, console)
    if not all(_fits(_part(table, [*keys, *group]), console) for group in groups):
        return [*_stacked(table, keys), *_caption(table)]
    parts = [_part(table, [*keys, *group]) for group in groups]
    for part in parts:
        _share_width(part, console)
    return [*parts, *_caption(table)]


def _separated(parts: Sequence[RenderableType]) -> list[RenderableType]:
    """The parts, with an empty line between tables."""
    found: list[RenderableType] = []
    for part in parts:
        found += [Text(""), part] if found and isinstance(part, Table) else [part]
    return found


def _groups(table: Table, keys: Sequence[int], console: Console) -> list[list[int]]:
    """The columns that are not keys, in order, in groups that each fit next to the keys."""
    groups: list[list[int]] = []
    for index in range(len(keys), len(table.columns)):
        if groups and _fits(_part(table, [*keys, *groups[-1], index]), console):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _keys(table: Table) -> list[int]:
    """The fewest first columns that make every row different."""
    for count in range(1, len(table.columns)):
        rows = list(zip(*(_cells(column) for column in table.columns[:count]), strict=True))
        if len(set(rows)) == len(rows):
            return list(range(count))
    return [0]


def _part(table: Table, indices: Iterable[int]) -> Table:
    """The same table with only these columns, and without its caption."""
    chosen = [table.columns[index] for index in indices]
    part = Table(box=table.box, padding=table.padding, header_style=table.header_style)
    for column in chosen:
        part.add_column(_in_lines(column.header), justify=column.justify, no_wrap=column.no_wrap)
    for row, cells in zip(
        table.rows, zip(*(_cells(column) for column in chosen), strict=True), strict=True
    ):
        part.add_row(*(Text(printable(cell)) for cell in cells), style=row.style)
    return part


def _stacked(table: Table, keys: Sequence[int]) -> list[RenderableType]:
    """A line for each cell, under the keys of its row."""
    lines: list[RenderableType] = []
    for row, cells in zip(
        table.rows, zip(*(_cells(column) for column in table.columns), strict=True), strict=True
    ):
        lines.append(Text(" ".join(cells[key] for key in keys), style="bold", overflow="fold"))
        for index in range(len(keys), len(cells)):
            header, value = str(table.columns[index].header), cells[index]
            if value:
                lines.append(
                    Text(f"  {_joined(header)}: {value}", style=row.style or "", overflow="fold")
                )
    return lines


def _joined(header: str) -> str:
    """A header in one line. Words that a hyphen divides at the end of a line are joined again, and
    so are lines that begin with a slash.
    """
    lines = header.split("\n")
    joints = [
        "" if first.endswith("-") or second.startswith("/") else " "
        for first, second in pairwise(lines)
    ]
    return "".join(
        part
        for pair in zip([line.removesuffix("-") for line in lines], [*joints, ""], strict=True)
        for part in pair
    )


def _caption(table: Table) -> list[RenderableType]:
    return [Text(str(table.caption), style="table.caption")] if table.caption else []


def _share_width(table: Table, console: Console) -> None:
    """Set the columns' widths, so that the table fits and no word is divided. The widest column
    that can still wrap is made narrower first.
    """
    widths = [_widest(column) for column in table.columns]
    least = [_narrowest(column) for column in table.columns]
    excess = sum(widths) + _extra(table, console) - console.width
    while excess > 0:  # ends: the caller has checked that the least widths fit
        index = max(
            (one for one in range(len(widths)) if widths[one] > least[one]), key=widths.__getitem__
        )
        widths[index] -= 1
        excess -= 1
    for column, width in zip(table.columns, widths, strict=True):
        column.width, column.overflow = width, "fold"


def _extra(table: Table, console: Console) -> int:
    """The width of borders and padding."""
    measured = console.measure(table, options=console.options.update(max_width=_UNLIMITED)).maximum
    return measured - sum(column.width or _widest(column) for column in table.columns)


def _widest(column: Column) -> int:
    return (
        max((cell_len(line) for text in _texts(column) for line in text.splitlines()), default=1)
        or 1
    )


def _narrowest(column: Column) -> int:
    if column.no_wrap:
        return _widest(column)
    return max((cell_len(word) for text in _texts(column) for word in text.split()), default=1) or 1


def _texts(column: Column) -> list[str]:
    return [str(column.header), *_cells(column)]


def _cells(column: Column) -> list[str]:
    return [str(cell) for cell in column.cells]
