"""The error of a check, and rules of several contracts: names, fingerprints, JSON, rounding."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from hnbench.errors import PluginError
from hnbench.guards.answers import shown
from hnbench.seeds import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

_SHA256 = re.compile("[0-9a-f]{64}")
_TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-3}
_OF_HALF = 0.05
"""The tolerance of the types with 16 bits."""


class ContractError(AssertionError):
    """A plug-in breaks its contract. The message names the plug-in, the rule, and what it gave
    instead.
    """


def require(condition: object, who: str, rule: str, came: str = "") -> None:
    """Raise a `ContractError` unless the condition holds."""
    if not condition:
        raise ContractError(f"{who}: {rule}" + (f"; {came}" if came else ""))


@contextmanager
def as_a_run_checks() -> Iterator[None]:
    """A block in which the `PluginError` of a run's own checks becomes a `ContractError`."""
    try:
        yield
    except PluginError as error:
        raise ContractError(str(error)) from error


def require_text(who: str, what: str, given: object) -> None:
    """Require printable text that is not empty."""
    require(
        isinstance(given, str) and given and given.isprintable(),
        who,
        f"{what} has to be printable text that is not empty",
        f"got {shown(given)}",
    )


def require_fingerprint(who: str, read: Callable[[], object]) -> None:
    """Require that a fingerprint is a SHA-256, and the same when it is read again."""
    first, again = read(), read()
    require(
        isinstance(first, str) and _SHA256.fullmatch(first),
        who,
        "the fingerprint has to be a SHA-256, 64 hexadecimal digits in lower case",
        f"got {shown(first)}",
    )
    require(first == again, who, "the fingerprint has to stay the same", f"got {first}, {again}")


def require_json(who: str, what: str, given: object) -> None:
    """Require a dictionary of JSON types only, which is equal after writing and reading it."""
    rule = f"{what} has to be a dictionary of JSON types (no tuples, paths or tensors)"
    require(isinstance(given, dict), who, rule, f"got {shown(given)}")
    try:
        again = json.loads(canonical(given))
    except (TypeError, ValueError) as error:
        raise ContractError(f"{who}: {rule}; {error}") from error
    require(again == given, who, rule, f"JSON reads it back as {again}")


def require_close(who: str, rule: str, ours: Tensor, expected: Tensor) -> None:
    """Require equality up to rounding in the coarser of the two types, relative to the larger of 1
    and the largest expected value.
    """
    require(
        ours.shape == expected.shape, who, rule, f"got {shown(ours)} instead of {shown(expected)}"
    )
    one, other = ours.detach().double().cpu(), expected.detach().double().cpu()
    allowed = tolerance(ours, expected) * max(1.0, float(other.abs().max()))
    apart = float((one - other).abs().max())
    require(apart <= allowed, who, rule, f"they are {apart:.3g} apart, above {allowed:.3g}")


def tolerance(*tensors: Tensor) -> float:
    """The difference that rounding allows between equal numbers of about 1, in the coarsest of the
    tensors' types.
    """
    return max(_TOLERANCES.get(tensor.dtype, _OF_HALF) for tensor in tensors)


def require_numbers_close(
    who: str, rule: str, ours: Sequence[float], expected: Sequence[float]
) -> None:
    """`require_close` for Python numbers. They count as float32, in which most models compute."""
    require_close(who, rule, torch.tensor(ours).float(), torch.tensor(expected).float())


def name_of(kind: str, plugin: Any) -> str:
    """The plug-in in a message, for example `"the reward red"`; with its class's name if it has no
    name.
    """
    name = getattr(plugin, "name", None)
    return f"the {kind} {name if isinstance(name, str) and name else type(plugin).__name__}"
