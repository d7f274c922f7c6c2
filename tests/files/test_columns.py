"""Rows that were columns are the rows that they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnbench.files.columns import Columns, Place, Rows, to_columns

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-99, 99).map(lambda value: float(f"{value:.7g}"))
    | st.sampled_from([0.0, -0.0, 1, 1.0, True, "1", "a" * 64, "A" * 64, "\n", "ä"])
    | st.text(max_size=5)
)
LISTS = st.lists(st.sampled_from([1.5, -2.25, 3.125, 0.0]), max_size=5) | st.lists(
    PLAIN, max_size=3
)
VALUES = PLAIN | LISTS | st.dictionaries(st.text(max_size=3), PLAIN | LISTS, max_size=3)
ROWS = st.lists(
    st.dictionaries(st.sampled_from("abcd.") | st.text(max_size=3), VALUES, max_size=5), max_size=6
)


def by_a(place: Place) -> Place | None:
    """`a` is the key of all others but `b`, whose values are in what has the key `b`."""
    return None if place == ("a",) else ("b", "x") if place == ("d",) else ("a",)


def again(table: Columns) -> list[dict[str, Any]]:
    rows = Rows(table, 1000)
    return [rows.row(number) for number in range(table.rows)]


@given(ROWS)
def test_rows_come_back_as_they_were(rows: list[dict[str, Any]]) -> None:
    assert list(map(json.dumps, again(to_columns(rows, by_a)))) == list(map(json.dumps, rows))


def test_a_value_that_its_key_had_before_is_not_stored_again() -> None:
    rows = [{"a": key, "n": value} for key, value in zip("xyxyx", "pqpqr", strict=True)]
    table = to_columns(rows, by_a)
    assert [place for place, _, _ in table.columns] == [("a",), ("n",)]
    codes, values = table.parts[-2:]
    assert codes == bytes([1, 0, 0, 2, 2, 0])  # doubled: the lowest bit is the sign
    assert values == b'"p"\n"q"\n"r"'


def test_of_a_list_only_what_no_earlier_one_begins_with_is_stored() -> None:
    lists = [[1.0, 2.0, 3.0], [1.0, 9.0], [1.0, 2.0, 3.0, 3.0001], [1.0, 2.0]]
    table = to_columns([{"a": "k", "t": one} for one in lists], by_a)
    heads, changes = table.parts[-2:]
    doubled = [3, 0, 0, 2, 1, 1, 4, 1, 3, 2, 1, 2]
    assert heads == bytes([1, *(2 * number for number in doubled)])
    # 3 numbers of the first list, 1 of the second, 1 of the third, of 3 bytes each.
    assert len(changes) == 1 + 3 * 5
    assert again(table) == [{"a": "k", "t": one} for one in lists]


def test_lists_that_share_their_beginnings_cannot_fill_the_memory() -> None:
    table = to_columns([{"t": [1.0] * 100} for _ in range(11)], by_a)
    with pytest.raises(ValueError, match="more numbers than a journal would"):
        Rows(table, 1000)
