"""Numbers of few significant digits as whole numbers in few bytes, and back without loss.

The rank of a number is its place among all numbers that have that many digits: 24.806 has the rank
after that of 24.805, and 1.0000 the rank after that of 0.99999. So close numbers have close ranks,
whatever their size, and a difference of ranks is small where numbers change little.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Whole = npt.NDArray[np.int64]
LARGEST_EXPONENT = 12
"""A number has a rank if it is 0, or its size is at least 10**-12 and less than 10**13. Then its
digits and the power of ten are exact in float64, so one division or product gives the number.
"""
_POWERS = np.array([float(10**power) for power in range(23)])


def rank_of(value: float, digits: int) -> int | None:
    """The rank of a number among those of at most `digits` significant digits (1 to 10); None if it
    has more digits, or is too small, too large or not finite.
    """
    if value == 0:
        return 0 if math.copysign(1.0, value) > 0 else None
    if not 10.0**-LARGEST_EXPONENT <= abs(value) < 10.0 ** (LARGEST_EXPONENT + 1):
        return None
    text = f"{abs(value):.{digits - 1}e}"
    if float(text) != abs(value):
        return None
    mantissa, _, exponent = text.partition("e")
    first: int = 10 ** (digits - 1)
    decades = int(exponent) + LARGEST_EXPONENT
    rank = 1 + decades * 9 * first + int(mantissa.replace(".", "")) - first
    return rank if value > 0 else -rank


def numbers_of(ranks: Whole, digits: int) -> list[float]:
    """The numbers that have these ranks. `IndexError` for a rank that no number has."""
    first = 10 ** (digits - 1)
    decades, rest = np.divmod(np.abs(ranks) - 1, 9 * first)
    shift = digits - 1 - (decades - LARGEST_EXPONENT)
    mantissa, power = (rest + first).astype(np.float64), _POWERS[np.abs(shift)]
    size = np.where(shift >= 0, mantissa / power, mantissa * power)
    found: list[float] = np.where(ranks == 0, 0.0, np.copysign(size, ranks)).tolist()
    return found


def as_bytes(numbers: Sequence[int] | Whole) -> bytes:
    """Whole numbers (below 2**62 in size) as bytes that compress well: their number of bytes each,
    then the lowest byte of all, the next one of all, and so on. The sign is the lowest bit.
    """
    signed = np.asarray(numbers, dtype=np.int64)
    folded = np.where(signed >= 0, 2 * signed, -2 * signed - 1).astype("<u8")
    # At least one byte each, so a short file cannot promise a billion numbers.
    width = max(1, (int(folded.max(initial=0)).bit_length() + 7) // 8)
    planes = folded.view(np.uint8).reshape(-1, 8)[:, :width]
    return bytes([width]) + planes.T.tobytes()


def from_bytes(content: bytes, count: int) -> Whole:
    """The `count` whole numbers of `as_bytes`. `ValueError` if there are not as many."""
    width = content[0] if content else 0
    if not 1 <= width <= 8 or len(content) != 1 + width * count:
        raise ValueError(f"{len(content)} bytes are not {count} whole numbers")
    planes = np.zeros((8, count), dtype=np.uint8)
    planes[:width] = np.frombuffer(content, np.uint8, offset=1).reshape(width, count)
    folded: Any = np.ascontiguousarray(planes.T).view("<u8").reshape(count)
    signed: Whole = (folded >> 1).astype(np.int64)
    return np.where(folded & 1, -signed - 1, signed)
