"""Numbers as text, for sentences and tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hnbench.stats.intervals import Interval


def spanned(
    interval: Interval, *, sign: bool = False, percent: bool = False, digits: int = 3
) -> str:
    """An interval as "0.623 [0.601, 0.645]"; the bracket says "no interval" if the data give
    none.
    """
    if math.isnan(interval.estimate):
        return "not measured"
    bounds = [
        number(value, sign=sign, percent=percent, digits=digits)
        for value in (interval.low, interval.high)
    ]
    bracket = "no interval" if math.isnan(interval.low) else ", ".join(bounds)
    return f"{number(interval.estimate, sign=sign, percent=percent, digits=digits)} [{bracket}]"


def number(value: float, *, sign: bool = False, percent: bool = False, digits: int = 3) -> str:
    """A number with `digits` decimals, or as a percentage with three significant digits.

    >>> number(0.1234)
    '0.123'
    >>> number(0.1234, sign=True, percent=True)
    '+12.3%'
    """
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    prefix = "+" if sign else ""
    return f"{100 * value:{prefix}.3g}%" if percent else f"{value:{prefix}.{digits}f}"


def probability(value: float) -> str:
    """A p-value as "p = 0.012" or "p < 0.001".

    >>> probability(0.00004)
    'p < 0.001'
    """
    if math.isnan(value):
        return "p n/a"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def amount(value: float) -> str:
    """A cost with three significant digits; from a thousand on, a whole number with commas.

    >>> amount(1234567.0)
    '1,234,567'
    """
    if not math.isfinite(value):
        return number(value)
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def candidates(value: float, largest: int) -> str:
    """A number of candidates of best-of-N, read off a curve from 1 to `largest`.

    >>> [candidates(value, 50) for value in (0.7, 4.83, math.inf)]
    ['1', '4.8', 'more than 50']
    """
    if math.isinf(value):
        return f"more than {largest}"
    return "1" if value <= 1 else f"{value:.1f}"


def candidates_between(interval: Interval, largest: int) -> str:
    """The bounds of a number of candidates, as "1.9 to more than 50" or "no interval"."""
    if math.isnan(interval.low):
        return "no interval"
    return f"{candidates(interval.low, largest)} to {candidates(interval.high, largest)}"
