"""The findings that the titles of plots state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hnbench.reports.costs import in_words
from hnbench.reports.labels import style_of
from hnbench.reports.numbers import spanned
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.reports.summary import Summary
    from hnbench.stats.intervals import Interval


def subject(summary: Summary) -> str | None:
    """The label that titles are about: HyperNoise, without it the method with the largest gain.
    None if there is only random noise.
    """
    if summary.hypernoise is not None:
        return summary.hypernoise
    gains = {
        label: row.gain.estimate
        for label, row in summary.rows.items()
        if label != BASE and not math.isnan(row.gain.estimate)
    }
    return max(gains, key=lambda label: gains[label]) if gains else None


def gained(gain: Interval, *, digits: int = 3) -> str:
    """A difference with its interval, and a remark if the interval includes zero.

    >>> from hnbench.stats.intervals import Interval
    >>> gained(Interval(0.118, 0.101, 0.134))
    '+0.118 [+0.101, +0.134]'
    >>> gained(Interval(0.02, -0.01, 0.05))
    '+0.020 [-0.010, +0.050] (includes zero)'
    """
    doubtful = not gain.excludes_zero and not math.isnan(gain.low)
    return spanned(gain, sign=True, digits=digits) + " (includes zero)" * doubtful


def gains_and_work(summary: Summary, labels: Sequence[str]) -> str:
    """The gain of each label in the score, and its work as a multiple of random noise's."""
    first, *others = labels
    gain = f"{style_of(first).name} gains {gained(summary.rows[first].gain)}"
    said = f"{gain} over random noise{_times(summary, first)}"
    if _times(summary, first):
        said += f" its {in_words(summary.work)}"
    return "; ".join(
        [
            said,
            *(
                f"{style_of(label).name} {gained(summary.rows[label].gain)}{_times(summary, label)}"
                for label in others
            ),
        ]
    )


def _times(summary: Summary, label: str) -> str:
    """The work of a label, as " at 2 times"; empty if it or random noise's is not known."""
    own, base = (summary.rows[one].costs[summary.work].estimate for one in (label, BASE))
    return f" at {own / base:.3g} times" if own > 0 and base > 0 else ""
