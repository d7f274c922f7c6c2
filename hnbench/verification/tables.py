"""The tables and texts of `hnbench verify`: the checks, the sources of their numbers, and the
results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box, filesize
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hnbench.verification.check import CheckComparison, CheckResult
    from hnbench.verification.reference import Reference, Value
    from hnbench.weights.verified import Verification

NEVER = "not yet run here"


def list_table(references: Iterable[Reference], known: Sequence[Verification]) -> Table:
    """A table with a row for each check: its input, its needs, and its latest result on this
    machine.
    """
    table = Table(
        "component", "check", "input", "expected", "download", "GPU", "here", box=box.SIMPLE_HEAD
    )
    for one in references:
        needs = filesize.decimal(one.download), "yes" if one.gpu else "no"
        table.add_row(
            one.component, one.name, _given(one), _expected(one), *needs, _last(one, known)
        )
    return table


def _given(reference: Reference) -> str:
    number = len(reference.inputs)
    return f"{number} file{'s' if number > 1 else ''}" if number else "built in"


def _expected(reference: Reference) -> str:
    """The expected output as a short cell: the only value, the number of values, or "computed" if
    another implementation computes it.
    """
    values = list(reference.expected.values())
    if reference.truth == "independent":
        return "computed"
    if len(values) == 1 and not isinstance(values[0], str):
        return shown(values[0])
    return f"{len(values)} value{'s' if len(values) > 1 else ''}"


def _last(reference: Reference, known: Sequence[Verification]) -> str:
    found = [one for one in known if one.check == reference.name]
    if not found:
        return NEVER
    latest = found[-1]
    return f"{'equal' if latest.equal else 'differs'}, {latest.date}, {latest.seconds:.0f} s"


def explained(reference: Reference) -> Iterator[str]:
    """The origin of a check's numbers, line by line."""
    yield f"{reference.name}: {reference.about}"
    yield f"  component   {reference.component} ({reference.kind})"
    yield f"  source      {reference.source}"
    if reference.made_with:
        yield f"  made with   {reference.made_with}"
    if reference.strength:
        yield f"  says        {reference.strength}"
    for item in reference.inputs:
        place = item.url or f"{item.repo}@{item.revision}: {item.path}"
        pin = (
            f" (SHA-256 {item.sha256})"
            if item.sha256
            else f" (not pinned: {item.unpinned})"
            if item.unpinned
            else ""
        )
        yield f"  input       {item.name}: {place}{pin}"
    for name, value in reference.expected.items():
        yield f"  expected    {name}: {shown(value)}"
    yield (
        "  tolerance  "
        f" {', '.join(f'{value:g} in {dtype}' for dtype, value in reference.tolerance.items())}"
    )
    for pitfall in reference.pitfalls:
        yield f"  note        {pitfall}"


def result_table(results: Iterable[CheckResult]) -> Table:
    """A table with a row for each check and its worst comparison."""
    table = Table(
        "check", "compared", "expected", "got", "tolerance", "verdict", box=box.SIMPLE_HEAD
    )
    for result in results:
        worst = result.worst
        verdict = result.verdict if result.verdict != "not run" else f"not run: {result.why}"
        table.add_row(result.reference.name, *_columns(worst, len(result.comparisons)), verdict)
    return table


def _columns(worst: CheckComparison | None, number: int) -> tuple[str, str, str, str]:
    if worst is None:
        return "", "", "", ""
    name = worst.name if number == 1 else f"{worst.name} (of {number})"
    return name, shown(worst.expected), shown(worst.got), f"{worst.tolerance:g}"


def shown(value: Value) -> str:
    """A value for people."""
    return value if isinstance(value, str) else f"{value:.6g}"


def sentences(results: Sequence[CheckResult]) -> Iterator[str]:
    """The results in sentences."""
    counts = {
        verdict: sum(one.verdict == verdict for one in results)
        for verdict in ("equal", "differs", "not run")
    }
    yield (
        f"{len(results)} checks: {counts['equal']} equal, {counts['differs']} differ,"
        f" {counts['not run']} not run."
    )
    for result in results:
        if result.verdict == "differs" and result.why:
            yield f"{result.reference.name}: {result.why}"
        yield from (f"{result.reference.name}: {note}" for note in result.notes)
