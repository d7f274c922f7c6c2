"""Ranks of decimal numbers: exact, in order, and without gaps."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnbench.files.decimals import as_bytes, from_bytes, numbers_of, rank_of

DECIMALS = st.builds(
    lambda digits, power, sign: sign * float(f"{digits}e{power}"),
    st.integers(0, 9_999_999),
    st.integers(-18, 5),
    st.sampled_from((1, -1)),
)


@given(DECIMALS)
def test_a_number_comes_back_as_it_was(value: float) -> None:
    rank = rank_of(value, 7)
    if rank is None:
        assert abs(value) < 1e-12 or abs(value) >= 1e13
    else:
        (found,) = numbers_of(np.array([rank]), 7)
        assert repr(found) == repr(value + 0.0)


@given(DECIMALS, DECIMALS)
def test_ranks_are_in_the_order_of_the_numbers(one: float, other: float) -> None:
    ranks = rank_of(one, 7), rank_of(other, 7)
    if None not in ranks:
        assert (ranks[0] < ranks[1]) == (one < other)  # type: ignore[operator]


def test_between_two_neighbours_there_is_no_other_number() -> None:
    """All numbers of two digits from 0.95 to 11, counted by hand."""
    texts = ["0.95", "0.96", "0.97", "0.98", "0.99"]
    texts += [str(Decimal(tenths) / 10) for tenths in range(10, 100)] + ["10", "11"]
    ranks = [rank_of(float(text), 2) for text in texts]
    assert ranks == list(range(ranks[0], ranks[0] + len(texts)))  # type: ignore[operator, arg-type]


@pytest.mark.parametrize(
    "value", [0.12345678, 1e-13, 1e13, -0.0, math.nan, math.inf, -math.inf, 0.1 + 0.2]
)
def test_other_numbers_have_no_rank(value: float) -> None:
    assert rank_of(value, 7) is None


def test_a_rank_that_no_number_has_is_refused() -> None:
    with pytest.raises(IndexError):
        numbers_of(np.array([10**15]), 7)


@given(st.lists(st.integers(-(2**62) + 1, 2**62 - 1)))
def test_whole_numbers_come_back_from_bytes(numbers: list[int]) -> None:
    content = as_bytes(numbers)
    assert from_bytes(content, len(numbers)).tolist() == numbers
    for changed in (content[:-1], content + b"\0", b"\x09" + content[1:], b""):
        if changed != content:
            with pytest.raises(ValueError, match="whole numbers"):
                from_bytes(changed, len(numbers) + (changed == content))


def test_small_numbers_take_one_byte_and_signs_the_lowest_bit() -> None:
    assert as_bytes([0, -1, 1, -2, 127]) == bytes([1, 0, 1, 2, 3, 254])
    assert as_bytes([128, 1]) == bytes([2, 0, 2, 1, 0])
