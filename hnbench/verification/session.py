"""One `hnbench verify`: which checks it runs, their results as JSON, and what is remembered of
them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from hnbench.errors import HnbenchError
from hnbench.files.writing import write_text
from hnbench.runs.environment import environment
from hnbench.verification.check import CheckResult, run_check
from hnbench.weights.verified import Verification, remember

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hnbench.verification.reference import Reference

SCHEMA = 1
LARGEST_DOWNLOAD = 5_000_000_000
"""Bytes that a check may download unless it was asked for by name."""


class VerifyProgress(Protocol):
    """Receives the command's progress."""

    def check_started(self, number: int, total: int, reference: Reference) -> None:
        """Say which check is worked on now."""

    def check_done(self, result: CheckResult) -> None:
        """Say what came of it."""


@dataclass(frozen=True)
class Session:
    """The results of one command."""

    results: tuple[CheckResult, ...]
    environment: dict[str, Any]
    started: str

    @property
    def failed(self) -> bool:
        """Whether anything differs, a check broke, or nothing at all could be compared."""
        broken = any(one.verdict == "differs" or one.crashed for one in self.results)
        return broken or not any(one.verdict == "equal" for one in self.results)

    def to_json(self) -> dict[str, Any]:
        """The session as JSON types, for a file that can be sent to others."""
        return {
            "schema": SCHEMA,
            "started": self.started,
            "environment": self.environment,
            "results": [_result_to_json(one) for one in self.results],
        }


def small_checks(known: Iterable[Reference]) -> tuple[Reference, ...]:
    """The checks that run if none is named: those without a GPU and with less than 5 GB of
    downloads each.
    """
    return tuple(one for one in known if not one.gpu and one.download < LARGEST_DOWNLOAD)


def verify(
    references: Sequence[Reference],
    device: str,
    progress: VerifyProgress,
    *,
    dtype: str | None = None,
    slow: bool = False,
) -> Session:
    """Run the checks one after another. Those that compared something are remembered by their
    models' fingerprints.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    surroundings = environment(device)
    results = []
    for number, reference in enumerate(references, start=1):
        progress.check_started(number, len(references), reference)
        result = run_check(reference, device, dtype, slow=slow)
        if result.verdict != "not run" and result.fingerprints:
            with suppress(
                HnbenchError
            ):  # a cache that cannot be written to costs the memory, not the result
                remember([_remembered(result, started, surroundings)])
        results.append(result)
        progress.check_done(result)
    return Session(tuple(results), surroundings, started)


def write_session(session: Session, path: Path) -> None:
    """Write the results as JSON. A place that cannot be written to is a `StoreError`."""
    text = json.dumps(session.to_json(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_text(path, text)


def _remembered(result: CheckResult, started: str, surroundings: dict[str, Any]) -> Verification:
    worst = result.worst
    return Verification(
        check=result.reference.name,
        equal=result.verdict == "equal",
        difference=min(worst.difference, 1e9) if worst else 1e9,
        date=started[:10],
        seconds=round(result.seconds, 1),
        device=str(surroundings["device"]),
        dtype=result.dtype,
        fingerprints=result.fingerprints,
        versions={"hnbench": surroundings["hnbench"], **surroundings["packages"]},
    )


def _result_to_json(result: CheckResult) -> dict[str, Any]:
    return {
        "check": result.reference.name,
        "component": result.reference.component,
        "reference": result.reference.digest,
        "verdict": result.verdict,
        "why": result.why,
        "dtype": result.dtype,
        "seconds": round(result.seconds, 1),
        "fingerprints": result.fingerprints,
        "notes": list(result.notes),
        "comparisons": [
            {
                "name": one.name,
                "expected": one.expected,
                "got": _finite(one.got),
                "tolerance": one.tolerance,
                "equal": one.equal,
            }
            for one in result.comparisons
        ],
    }


def _finite(value: float | str) -> float | str:
    """JSON has no NaN and no infinity: they are written as text."""
    return value if isinstance(value, str) or abs(value) < float("inf") else str(value)
