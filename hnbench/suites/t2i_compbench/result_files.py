"""The result files of T2I-CompBench's own scripts: a `vqa_result.json` for each category.

Each is a list of `{"question_id", "answer"}`, one for each image.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.suites.base import JudgedImage


@dataclass(frozen=True)
class _Results:
    """The format of the results of a category's published script."""

    folder: str
    """The folder that the script writes into."""
    numbered: bool
    """Whether an image's `question_id` is the number in its file's name; if not, it is the image's
    place among the existing images, in the order of these numbers.
    """
    text: bool = False
    """Whether answers are texts with four decimals instead of numbers."""


_RESULTS = {
    **dict.fromkeys(
        ("color", "shape", "texture"), _Results("annotation_blip", numbered=False, text=True)
    ),
    "spatial": _Results("labels/annotation_obj_detection_2d", numbered=True),
    "3d_spatial": _Results("labels/annotation_obj_detection_3d", numbered=True),
    "numeracy": _Results("annotation_num", numbered=True),
    "non_spatial": _Results("annotation_clip", numbered=False),
    "complex": _Results("annotation_3_in_1", numbered=False),
}


def result_files(judged: Sequence[JudgedImage], tags: Sequence[str]) -> dict[str, bytes]:
    """Path -> content, of the result file of each category that has images. `tags` are those of the
    suite.
    """
    by_category: defaultdict[str, list[JudgedImage]] = defaultdict(list)
    for one in judged:
        by_category[one.prompt.tag].append(one)
    files = {}
    for category, found in by_category.items():
        # The scripts take one category at a time, so with several, each has an outer folder.
        outer = f"{category}/" if len(tags) > 1 else ""
        path = f"{outer}{_RESULTS[category].folder}/vqa_result.json"
        files[path] = json.dumps(_answers(category, found), allow_nan=False).encode()
    return files


def _answers(category: str, judged: Sequence[JudgedImage]) -> list[dict[str, Any]]:
    results = _RESULTS[category]
    return [
        {
            "question_id": one.number if results.numbered else place,
            "answer": f"{one.verdict.value:.4f}" if results.text else one.verdict.value,
        }
        for place, one in enumerate(sorted(judged, key=lambda one: one.number))
    ]
