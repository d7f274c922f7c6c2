"""One `hnbench verify`: its checks, their results as JSON, and the results that are remembered."""

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
"""A check that downloads this many bytes or more runs only if it is asked for by name."""


class VerifyProgress(Protocol):
    """Receives the command's progress."""

    def check_started(self, number: int, total: int, reference: Reference) -> None:
        """Show that check `number` (from 1) of `total` begins."""

    def check_done(self, result: CheckResult) -> None:
        """Show the result of the check that began last."""


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
    """The checks that run if none is named: those that need no GPU and download less than 5 GB
    each.
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
    """Run the checks one after another. The results of those that compared something are remembered
    on this machine, by their models' fingerprints.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    surroundings = environment(device)
    results = []
    for number, reference in enumerate(references, start=1):
        progress.check_started(number, len(references), reference)
        result = run_check(reference, device, dtype, slow=slow)
        if result.verdict != "not run" and result.fingerprints:
            # If the cache cannot be written to, the result is not remembered, but still shown.
            with suppress(HnbenchError):
                remember([_remembered(result, started, surroundings)])
        results.append(result)
        progress.check_done(result)
    return Session(tuple(results), surroundings, started)


def write_session(session: Session, path: Path) -> None:
    """Write the results as JSON. `StoreError` if the file cannot be written."""
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
    """The value, as text if it is NaN or infinite, which JSON does not have."""
    return value if isinstance(value, str) or abs(value) < float("inf") else str(value)
