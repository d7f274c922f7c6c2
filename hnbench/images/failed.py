"""Refuses results if a judge or a measure failed for some images, after all others are done: a mean
without them would be another number.
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
    """Raise a `SampleFailure` if any of the results, which belong to `names`, is a failure; it
    names the first. `what` is the word for the items, such as `"images"`.
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
