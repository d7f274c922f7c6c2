"""Checks of what plug-ins return: the number of answers, scores as tensors, and single numbers.

A plug-in is anybody's code. A result that its contract does not allow is a `PluginError` that names
the plug-in, what it gave and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from hnbench.errors import PluginError
from hnbench.files.escaping import QUOTED, printable, quoted


def as_many(who: str, given: Any, expected: int, what: str = "answers") -> Sequence[Any]:
    """The sequence that `who` (such as `"the judge geneval"`) gave. Unless it has one entry for
    each of `expected` items, that is a `PluginError`.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise PluginError(
            f"{who} gave {shown(given)}; a list of {expected} {what} is expected, one for each item"
            " in order"
        )
    if len(given) != expected:
        raise PluginError(
            f"{who} gave {len(given)} {what} for {expected} items; one for each in order is"
            " expected"
        )
    return given


def as_scores(who: str, given: Any, count: int, *, differentiable: bool = False) -> Tensor:
    """Scores `[count]`: a tensor of floating-point numbers with values, and with a gradient if it
    must be `differentiable`. Anything else is a `PluginError`.

    They are not checked for being finite, because the host would have to wait for the device.
    """
    wanted = f"a floating-point tensor [{count}] is expected, one score per image"
    if not is_usable(given) or not given.is_floating_point():
        raise PluginError(f"{who} gave {shown(given)}; {wanted}")
    if given.shape != (count,):
        raise PluginError(
            f"{who} gave scores of shape {list(given.shape)} for {count} images; {wanted}"
        )
    if differentiable and not given.requires_grad:
        raise PluginError(
            f"{who} gave no gradient: its scores do not depend on the images; it cannot be"
            " optimised, only held out (`hold_out`)"
        )
    scores: Tensor = given
    return scores


def as_number(who: str, given: Any, what: str = "a value") -> float:
    """A finite number; anything else is a `PluginError`. Texts and truth values are not numbers."""
    number = real(given)
    if number is None or not math.isfinite(number):
        raise PluginError(f"{who} gave {shown(given)} for {what}; a finite number is expected")
    return number


def real(given: Any) -> float | None:
    """The number as a float, infinite if it is too large for one; None if `given` is not a real
    number.
    """
    if isinstance(given, bool) or not isinstance(given, Real):
        return None
    try:
        return float(given)
    except OverflowError:
        return math.inf


def is_usable(given: Any) -> bool:
    """Whether `given` is a tensor with readable values: not a meta, sparse or quantised one."""
    return (
        isinstance(given, Tensor)
        and given.layout is torch.strided
        and not given.is_meta
        and not given.is_quantized
    )


def shown(given: Any) -> str:
    """A short printable description: a tensor by type, shape and device, a number or a short text
    as it is, anything else by its type.
    """
    if isinstance(given, Tensor):
        return (
            f"a tensor of {str(given.dtype).removeprefix('torch.')} {list(given.shape)} on"
            f" {given.device}"
        )
    if isinstance(given, float):
        return f"{given:.3g}"
    if given is None or isinstance(given, bool | int | complex | str):
        return "a huge number" if _is_huge(given) else quoted(given)
    return printable(f"an object of the type {type(given).__name__}")[:QUOTED]


def _is_huge(given: Any) -> bool:
    """Python refuses to write whole numbers of more than some thousand digits."""
    return isinstance(given, int) and given.bit_length() > 1000
