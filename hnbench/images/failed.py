"""The images that a judge or a measure failed for, reported when all else is done: a
number over some of the images would be another number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import SampleFailure
from hnbench.files.escaping import printable
from hnbench.runs.failures import told
from hnbench.runs.record import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_failed(who: str, names: Sequence[str], results: Sequence[object], what: str) -> None:
    """`SampleFailure` if any of the results, which belong to `names`, is a failure; it names the
    first. `what` are `"images"` or so.
    """
    failed = [
        (name, result)
        for name, result in zip(names, results, strict=True)
        if isinstance(result, Failure)
    ]
    if failed:
        name, first = failed[0]
        raise SampleFailure(
            f"{who} failed for {len(failed)} of {len(names)} {what}; of {printable(name)}:"
            f" {told(first)}. What it gave for the others is kept; the same command tries these"
            " again"
        )
