"""Paired timings: two or more ways to do the same work, timed in turn, and their ratios.

A busy machine slows all ways of a repeat alike, so the ratio within a repeat says more than the
times themselves.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from hnbench.metering import Usage, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def alternating(
    ways: Mapping[str, Callable[[], float]], repeats: int, title: str
) -> dict[str, list[float]]:
    """Way -> the seconds that it returned in each of `repeats` rounds. The order of the ways is
    reversed in every other round. Each round ends with a line on stderr.
    """
    # Lines are printed between the timings. A progress bar would be drawn while the models run.
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    found: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in sorted(ways, reverse=repeat % 2 == 1):
            found[way].append(ways[way]())
        latest = ", ".join(f"{way} {seconds[-1]:.1f} s" for way, seconds in found.items())
        console.print(f"{title}, repeat {repeat + 1} of {repeats}: {latest}")
    return found


def timed(work: Callable[[], object], device: torch.device) -> Usage:
    """The wall time and the peak memory of a piece of work, with the device's queue empty at both
    ends.
    """
    usage = Usage()
    with measured(device, usage):
        work()
    return usage


def ratios(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """The spread of the ratios of two ways' seconds, repeat by repeat."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, the smallest and the largest value."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine(device: str) -> dict[str, Any]:
    """The device's name, torch's number of threads and its version."""
    return {
        "device_name": (
            torch.cuda.get_device_name()
            if device.startswith("cuda")
            else platform.processor() or platform.machine()
        ),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have, described by the module's docstring."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    return parser
