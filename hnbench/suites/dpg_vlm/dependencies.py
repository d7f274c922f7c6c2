"""DPG-Bench's rule: a question counts only if those that it depends on were answered with yes.

Hu et al., arXiv 2403.05135, and `compute_dpg_bench.py` of TencentQQGYLab/ELLA, after Cho et al.,
"Davidsonian Scene Graph", arXiv 2310.18235.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def counted(yes: Mapping[int, bool], parents: Mapping[int, Sequence[int]]) -> dict[int, bool]:
    """Whether each question counts, from whether its answer was yes and the ids of those that it
    depends on, which are among the questions.

    Questions are seen in the order of `parents`, and one that does not count is like one answered
    with no for all after it. So a parent that comes later is taken by its answer alone.

    >>> counted({1: False, 2: True, 3: True}, {1: [], 2: [1], 3: [2]})
    {1: False, 2: False, 3: False}
    """
    counts = dict(yes)
    for question, needed in parents.items():
        counts[question] = counts[question] and all(counts[parent] for parent in needed)
    return counts
