"""Rows of JSON values as columns, and back without loss: what is alike lies together, so it
compresses to less than half of what the rows compress to.

A row is an object; a value of an object inside a row has a column of its own. A column has values
of one kind: SHA-256, numbers, lists of numbers, or any JSON. It may have another column as its key:
where the key is the same, the value is often one that was there before, so a row says which one,
and only new values are stored. Numbers are stored by their rank (`hnbench.files.decimals`). Of a
list of numbers, what it begins with in common with an earlier list of its key is not stored again.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from operator import eq
from typing import TYPE_CHECKING, Any

import numpy as np

from hnbench.files.decimals import Whole, as_bytes, from_bytes, numbers_of, rank_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Row = dict[str, Any]
    Keys = Sequence[Any]

Place = tuple[str, ...]
"""Where a value is in a row: its name, or that of the object it is in, and its name there."""
_Column = tuple[Place, str]
"""A place and the kind of the values."""
NUMBER_DIGITS, LIST_DIGITS = 7, 5
"""The most significant digits of numbers and of numbers in lists. A value with more is stored as
JSON.
"""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Columns:
    """Rows as columns."""

    rows: int
    shapes: list[list[_Column]]
    """The sets of values that rows have: the place and kind of each."""
    columns: list[tuple[Place, str, Place | None]]
    """The place, kind and key of each column."""
    parts: list[bytes]
    """First, the shape of each row, then two parts for each column."""


def to_columns(rows: Sequence[Row], key_of: Callable[[Place], Place | None]) -> Columns:
    """The rows as columns. `key_of` gives the place of a column's key, or None for no key; a key
    does not depend on what it is the key of.
    """
    shapes: dict[tuple[_Column, ...], int] = {}
    shape_of: list[int] = []
    found: defaultdict[_Column, dict[int, Any]] = defaultdict(dict)
    for number, row in enumerate(rows):
        stored = [(place, *_stored(value)) for place, value in _values_in(row)]
        shape = tuple((place, kind) for place, kind, _ in stored)
        shape_of.append(shapes.setdefault(shape, len(shapes)))
        for place, kind, value in stored:
            found[place, kind][number] = value
    keyed = sorted(
        ((place, kind, key_of(place)) for place, kind in found if kind != "null"),
        key=lambda one: _depth(one[0], key_of),
    )
    parts = [as_bytes(shape_of)]
    for place, kind, key in keyed:
        values = found[place, kind]
        keys = _keys(key, found, values)
        parts += (
            _pack_lists(list(values.values()), keys)
            if kind == "numbers"
            else _pack_distinct(kind, list(values.values()), keys)
        )
    return Columns(len(rows), list(map(list, shapes)), keyed, parts)


class Rows:
    """The rows of columns again, each made when it is asked for."""

    def __init__(self, table: Columns, largest: int) -> None:
        """Read the columns. `ValueError`, `LookupError` or `TypeError` for what `to_columns` did
        not write, or if all lists together have more than `largest` numbers.
        """
        self._shapes = table.shapes
        self._shape_of: list[int] = from_bytes(table.parts[0], table.rows).tolist()
        self._found: dict[_Column, dict[int, Any]] = {}
        self._loaded: dict[str, Any] = {}
        members: defaultdict[_Column, list[int]] = defaultdict(list)
        for number, shape in enumerate(self._shape_of):
            for column in table.shapes[shape]:
                members[column].append(number)
        parts = iter(table.parts[1:])
        for (place, kind, key), first, second in zip(table.columns, parts, parts, strict=True):
            numbers = members[place, kind]
            keys = _keys(key, self._found, numbers)
            values = (
                _unpack_lists(first, second, keys, largest)
                if kind == "numbers"
                else _unpack_distinct(kind, first, second, keys)
            )
            self._found[place, kind] = dict(zip(numbers, values, strict=True))

    def row(self, number: int) -> Row:
        """The row of that number. The same errors as on reading."""
        row: Row = {}
        for place, kind in self._shapes[self._shape_of[number]]:
            value: Any = None if kind == "null" else self._found[place, kind][number]
            if kind == "json":
                if value not in self._loaded:
                    self._loaded[value] = json.loads(value)
                value = self._loaded[value]
            into = row if len(place) == 1 else row.setdefault(place[0], {})
            into[place[-1]] = value
        return row


def _values_in(row: Row) -> Iterator[tuple[Place, Any]]:
    for name, value in row.items():
        if isinstance(value, dict) and value:
            yield from (((name, inner), one) for inner, one in value.items())
        else:
            yield (name,), value


def _stored(value: Any) -> tuple[str, Any]:
    """The kind of a value, and what is stored of it."""
    if value is None:
        return "null", None
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return "sha256", value
    if isinstance(value, float) and (rank := rank_of(value, NUMBER_DIGITS)) is not None:
        return "number", rank
    if isinstance(value, list) and value and all(isinstance(one, float) for one in value):
        ranks = [rank_of(one, LIST_DIGITS) for one in value]
        if None not in ranks:
            return "numbers", ranks
    return "json", json.dumps(value, separators=(",", ":"))


def _depth(place: Place, key_of: Callable[[Place], Place | None]) -> int:
    key = key_of(place)
    return 0 if key is None else 1 + _depth(key, key_of)


def _keys(key: Place | None, found: dict[_Column, dict[int, Any]], numbers: Iterable[int]) -> Keys:
    """The values of the rows of these numbers in the column of the key, whatever its kind."""
    if key is None:
        return [None for _ in numbers]
    there: dict[int, Any] = {}
    for kind in ("sha256", "json"):
        there |= found.get((key, kind), {})
    return [there.get(number) for number in numbers]


def _pack_distinct(kind: str, values: Sequence[Any], keys: Keys) -> list[bytes]:
    """For each row, 0 for a new value or which of its key's values it is; and the new values."""
    known: defaultdict[Any, dict[Any, int]] = defaultdict(dict)
    codes, new = [], []
    for value, key in zip(values, keys, strict=True):
        own = known[key]
        code = own.get(value, 0)
        if not code:
            own[value] = len(own) + 1
            new.append(value)
        codes.append(code)
    if kind == "sha256":
        content = bytes.fromhex("".join(new))
    elif kind == "number":
        content = as_bytes(new)
    else:
        content = "\n".join(new).encode()
    return [as_bytes(codes), content]


def _unpack_distinct(kind: str, first: bytes, second: bytes, keys: Keys) -> list[Any]:
    codes = from_bytes(first, len(keys))
    count_new = int((codes == 0).sum())
    new: list[Any]
    if kind == "sha256":
        new = re.findall(".{64}", second.hex())
    elif kind == "number":
        new = numbers_of(from_bytes(second, count_new), NUMBER_DIGITS)
    else:
        new = second.decode().split("\n")
    known: defaultdict[Any, list[Any]] = defaultdict(list)
    values, at = [], 0
    for code, key in zip(codes.tolist(), keys, strict=True):
        own = known[key]
        if not code:
            own.append(new[at])
            at += 1
        values.append(own[code - 1])
    return values


def _pack_lists(values: Sequence[list[int]], keys: Keys) -> list[bytes]:
    """For each row, how many numbers it has, which earlier list of its key begins most like it, and
    how many numbers they have in common; and the differences between each of the others and the one
    before it.
    """
    known: defaultdict[Any, list[list[int]]] = defaultdict(list)
    heads: list[int] = []
    changes: list[int] = []
    for value, key in zip(values, keys, strict=True):
        shared, like = 0, 0
        for place, other in enumerate(known[key], start=1):
            alike = sum(1 for _ in takewhile(bool, map(eq, value, other)))
            if alike > shared:
                shared, like = alike, place
        known[key].append(value)
        heads += len(value), like, shared
        before = [0, *value]
        changes += [value[at] - before[at] for at in range(shared, len(value))]
    return [as_bytes(heads), as_bytes(changes)]


def _unpack_lists(first: bytes, second: bytes, keys: Keys, largest: int) -> list[Any]:
    heads = from_bytes(first, 3 * len(keys)).reshape(-1, 3)
    if int(heads[:, 0].sum()) > largest:
        raise ValueError("its lists have more numbers than a journal would")
    changes = from_bytes(second, int((heads[:, 0] - heads[:, 2]).sum()))
    known: defaultdict[Any, list[Whole]] = defaultdict(list)
    found: list[Whole] = []
    start = 0
    for (length, like, shared), key in zip(heads.tolist(), keys, strict=True):
        begun = known[key][like - 1][:shared] if shared else changes[:0]
        own = changes[start : start + length - shared].cumsum()
        start += length - shared
        found.append(np.concatenate([begun, own + begun[-1] if shared else own]))
        known[key].append(found[-1])
    numbers = numbers_of(np.concatenate(found), LIST_DIGITS)
    ends = np.cumsum(heads[:, 0]).tolist()
    return [
        numbers[end - length : end] for end, length in zip(ends, heads[:, 0].tolist(), strict=True)
    ]
