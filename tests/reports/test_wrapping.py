"""Lines of text that fit a width."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hnbench.reports.wrapping import wrapped


def narrow_and_wide(text: str) -> float:
    """As drawn: an i is narrow, and a W is wide."""
    return sum({"i": 0.4, "W": 1.7}.get(letter, 1.0) for letter in text)


@pytest.mark.parametrize("seed", range(20))
def test_a_long_word_breaks_where_counting_letter_by_letter_breaks_it(seed: int) -> None:
    draw = random.Random(seed)
    word = "".join(draw.choices("iWx", k=draw.randint(1, 120)))
    width = draw.uniform(1.0, 30.0)
    lines = wrapped(word, width, 1000, narrow_and_wide).split("\n")
    assert "".join(lines) == word
    for line, following in pairwise(lines):
        assert narrow_and_wide(line) <= width or len(line) == 1
        assert narrow_and_wide(line + following[0]) > width


def test_a_very_long_word_is_measured_a_few_times_a_line() -> None:
    asked: list[str] = []

    def measured(text: str) -> float:
        asked.append(text)
        return float(len(text))

    lines = wrapped("x" * 4000, 40, 10, measured).split("\n")
    assert [len(line) for line in lines] == [40] * 10
    assert len(asked) < 10 * 20
