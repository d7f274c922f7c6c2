"""Numbers in files, with no more digits than are significant."""

from __future__ import annotations


def to_digits(value: float, digits: int) -> float:
    """The number rounded to this many significant digits; one that is not finite stays as it is.

    >>> to_digits(0.12345678, 3)
    0.123
    >>> to_digits(123456.0, 3)
    123000.0
    """
    return float(f"{value:.{digits}g}")
