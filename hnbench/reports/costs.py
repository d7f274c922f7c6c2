"""The costs of a report: which of them methods are compared by, and how they are written.

Methods are compared by work and by seconds. Work is floating-point operations (FLOPs) if every
compared record has them; records of hnbench 0.1 have none, and then work is generator passes, a
backward pass counted as one like a forward pass.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hnbench.reports.numbers import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hnbench.reports.pool import Pool

TFLOPS, PASSES, SECONDS = "tflops", "generator_passes", "seconds"
"""Costs per image, as columns of a pool's frame: 10^12 floating-point operations, passes of the
generator and seconds.
"""
_UNITS = {"EFLOP": 1e-6, "PFLOP": 1e-3, "TFLOP": 1.0, "GFLOP": 1e3, "MFLOP": 1e6, "FLOP": 1e12}
"""Unit -> how many of it are one TFLOP."""


def costs_of(pool: Pool) -> tuple[str, ...]:
    """The costs that all done records of a pool have. Seconds are the last."""
    done = pool.frame["status"] == "done"
    counted = bool(pool.frame.loc[done, TFLOPS].notna().all()) and bool(done.any())
    return (TFLOPS, PASSES, SECONDS) if counted else (PASSES, SECONDS)


def training_costs(entry: Mapping[str, Any]) -> dict[str, float]:
    """The costs of a training, from its entry in `run.json`; NaN for what is not known."""
    flops = entry.get("flops")
    passes = (entry.get(f"generator_{way}", math.nan) for way in ("forward", "backward"))
    return {
        TFLOPS: math.nan if flops is None else flops / 1e12,
        PASSES: sum(passes),
        SECONDS: entry.get("seconds", math.nan),
    }


def unit_of(tflops: Iterable[float]) -> tuple[str, float]:
    """The unit for some numbers of TFLOP, so that the largest is at least 1, and the factor to it.

    >>> unit_of([0.0004, 0.0455])
    ('GFLOP', 1000.0)
    """
    largest = max((value for value in tflops if math.isfinite(value)), default=0.0)
    fitting = ((unit, factor) for unit, factor in _UNITS.items() if largest * factor >= 1)
    return next(fitting, ("TFLOP", 1.0))


def with_unit(cost: str, value: float) -> str:
    """An amount of work in words, for a sentence.

    >>> with_unit(TFLOPS, 0.0455)
    '45.5 GFLOP'
    >>> with_unit(PASSES, 99.0)
    '99 generator passes'
    """
    if cost == PASSES:
        return f"{amount(value)} generator passes"
    unit, factor = unit_of([value])
    return f"{amount(value * factor)} {unit}"


def in_words(cost: str) -> str:
    """The name of a cost in a sentence."""
    return {TFLOPS: "FLOPs", PASSES: "generator passes", SECONDS: "seconds"}[cost]
