"""One check: the input of its function, the comparisons, and the verdict.

The function of a check loads the model in the same way as a run, computes, and passes each number
to `compare`. It decides nothing itself: the verdict follows here from the reference's values and
tolerance. A check that compared nothing, or not all published values, is not equal.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Literal

from hnbench.errors import HnbenchError
from hnbench.verification.inputs import fetch_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL.Image import Image

    from hnbench.verification.reference import Reference, Value

CheckVerdict = Literal["equal", "differs", "not run"]


class CannotRun(HnbenchError):  # noqa: N818
    """A check lacks something that it needs: a GPU, a package, or a file that nobody can
    download.
    """


@dataclass(frozen=True)
class CheckComparison:
    """An expected value, the computed one, and the largest allowed absolute difference."""

    name: str
    expected: Value
    got: Value
    tolerance: float

    @property
    def difference(self) -> float:
        """The absolute difference in units of the tolerance; infinite for NaN. Texts that differ
        have an infinite difference, equal ones 0.
        """
        if isinstance(self.expected, str) or isinstance(self.got, str):
            return 0.0 if self.expected == self.got else math.inf
        apart = abs(self.got - self.expected)
        if not math.isfinite(apart):
            return math.inf
        if self.tolerance == 0:
            return 0.0 if apart == 0 else math.inf
        return apart / self.tolerance

    @property
    def equal(self) -> bool:
        """Whether the two values are equal within the tolerance."""
        return self.difference <= 1


@dataclass
class CheckContext:
    """The input of a check's function, and the place for its results."""

    reference: Reference
    device: str
    dtype: str
    """The dtype that the models compute in. If a model chooses its own dtype, its check sets this
    to it.
    """
    comparisons: list[CheckComparison] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Sentences for people that supplement the verdict."""

    def input(self, name: str) -> Path:
        """The local copy of one of the reference's inputs, downloaded if necessary and checked by
        SHA-256.
        """
        found = {item.name: item for item in self.reference.inputs}
        return fetch_input(self.reference.name, found[name])

    def picture(self, name: str) -> Image:
        """An input as an RGB picture."""
        from PIL import Image

        from hnbench.weights.rgb import rgb

        with Image.open(self.input(name)) as image:
            return rgb(image)

    def uses(self, name: str, fingerprint: str) -> None:
        """Note a model that the check loaded, so that the verdict is remembered for its
        fingerprint.
        """
        self.fingerprints[name] = fingerprint

    def compare(
        self,
        name: str,
        got: Value,
        expected: Value | None = None,
        *,
        tolerance: float | None = None,
    ) -> None:
        """Compare a computed value. Without `expected`, it is compared with the published value of
        that name; without `tolerance`, the reference's tolerance applies.
        """
        if expected is None:
            expected = self.reference.expected[name]
        allowed = self.reference.tolerance_in(self.dtype) if tolerance is None else tolerance
        self.comparisons.append(CheckComparison(name, expected, got, allowed))

    def note(self, sentence: str) -> None:
        """Add a sentence to the verdict."""
        self.notes.append(sentence)


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check."""

    reference: Reference
    verdict: CheckVerdict
    why: str = ""
    """The reason if the check was not run or compared too little; else empty."""
    comparisons: tuple[CheckComparison, ...] = ()
    fingerprints: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    dtype: str = ""
    crashed: bool = False
    """Whether the check ended with an unexpected error: a bug of this package or of the
    installation.
    """

    @property
    def worst(self) -> CheckComparison | None:
        """The comparison with the largest difference."""
        return max(self.comparisons, key=lambda one: one.difference, default=None)


def run_check(
    reference: Reference, device: str, dtype: str | None = None, *, slow: bool = False
) -> CheckResult:
    """Run one check. With `slow`, a check that needs a GPU also runs on a CPU. All errors of a
    check become part of its result; only Ctrl-C is raised.
    """
    context, start = CheckContext(reference, device, dtype or reference.dtype), time.perf_counter()
    why, crashed = "", False
    try:
        _require_speed(reference, device, slow=slow)
        _function_of(reference)(context)
    except HnbenchError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001
        why, crashed = (
            f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}",
            True,
        )
    verdict, why = _verdict(context, why)
    return CheckResult(
        reference,
        verdict,
        why,
        tuple(context.comparisons),
        context.fingerprints,
        tuple(context.notes),
        time.perf_counter() - start,
        context.dtype,
        crashed,
    )


def _require_speed(reference: Reference, device: str, *, slow: bool) -> None:
    if reference.gpu and not slow and not device.startswith("cuda"):
        raise CannotRun("it needs a GPU; on a CPU it takes hours, and slow checks must be allowed")


def _function_of(reference: Reference) -> Callable[[CheckContext], None]:
    # An entry point imports "package.module:function" by name, so nothing is imported for checks
    # that are not run.
    function: Callable[[CheckContext], None] = EntryPoint(
        reference.name, reference.function, ""
    ).load()
    return function


def _verdict(context: CheckContext, why: str) -> tuple[CheckVerdict, str]:
    if any(not one.equal for one in context.comparisons):
        return "differs", why
    if why:
        return "not run", why
    missing = [
        name
        for name in context.reference.expected
        if name not in {one.name for one in context.comparisons}
    ]
    if missing or not context.comparisons:
        return "differs", f"nothing was compared with {', '.join(missing) or 'anything'}"
    return "equal", ""
