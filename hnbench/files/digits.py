"""Numbers in files, with no more digits than are significant."""

from __future__ import annotations


def to_digits(value: float, digits: int) -> float:
    """The number rounded to this many significant digits; one that is not finite stays as it is."""
    return float(f"{value:.{digits}g}")
