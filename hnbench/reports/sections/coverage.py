"""The planned, done, failed and missing samples, and whether records and images are intact."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown_code
from hnbench.reports.sections.cells import name_of, named, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The numbers of planned, done, failed and missing samples of every method, the most frequent
    failures, and the state of records and images.
    """
    rows = []
    for row in summary.rows.values():
        coverage = row.coverage
        counts = (coverage.planned, coverage.done, coverage.failed, coverage.missing, row.pairs)
        rows.append([name_of(row), *(str(count) for count in counts)])
    header = ["method", "planned", "done", "failed", "missing", "paired with base"]
    failed = summary.pool.frame.loc[summary.pool.frame["status"] == "failed", ["label", "error"]]
    failures = Counter(zip(failed["label"], failed["error"], strict=True)).most_common(10)
    listed = [
        f"- {named(label)}: {count} x {markdown_code(error[:200])}"
        for (label, error), count in failures
    ]
    failed_so = ["Failures:\n\n" + "\n".join(listed)] if listed else []
    return "\n\n".join(
        ["## Coverage", table(header, rows), *failed_so, " ".join(_integrity(summary))]
    )


def _integrity(summary: Summary) -> Iterator[str]:
    """Sentences on whether records and images are unchanged, as far as that was checked."""
    pool = summary.pool
    yield "Every record matches the plan."
    if pool.unchecked:
        yield (
            f"{pool.unchecked:,} lines of the journals have no check value (an older hnbench wrote"
            " them), so a change in them would not be noticed."
        )
    else:
        yield "The check value of every line matches its content."
    images = int((pool.frame["status"] == "done").sum())
    if pool.damaged is None:
        yield "Images were not compared with their records (`hnbench report --check` does that)."
    elif pool.damaged:
        yield (
            f"**{len(pool.damaged):,} of {images:,} images are missing or are not the files that"
            " were written.**"
        )
    else:
        yield f"All {images:,} images are the files that were written (SHA-256)."
