"""3D-spatial: which of two objects is nearer, by the mean depth within their boxes.

Quirks of the published rules, kept under the name `published`:

- *transposed*: the depth map is indexed as `[x, y]` although its rows are y, so the depth is that
  of another place;
- *substrings*: a noun is searched in the labels of all objects, joined into one text, so "cat" is
  found in "cattle";
- *last match*: if several objects have a name, the one counts that was seen last before both names
  were found;
- *one half*: boxes whose intersection over union is exactly 0.5 score 0.

Under `repaired`, the depth is that of the boxes, a noun matches the labels that mean it (`names`),
the most confident object counts, and an intersection over union of one half scores 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnbench.detections import Box, iou
from hnbench.suites.t2i_compbench.detections import Detections
from hnbench.suites.t2i_compbench.names import named

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from hnbench.suites.t2i_compbench.spatial import Rules

    DepthMap = npt.NDArray[np.floating[Any]]

RELATIONS = ("in front of", "behind", "hidden")
OVERLAP = 0.5
"""From this intersection over union on, the order counts in full."""


def relation_in(prompt: str) -> str | None:
    """The first relation of `RELATIONS` that the prompt contains; None if it contains none.

    >>> relation_in("a cat in front of a dog")
    'in front of'
    """
    return next((relation for relation in RELATIONS if relation in prompt), None)


def order_score(
    relation: str | None, first: Box, second: Box, depth: DepthMap, rules: Rules = "published"
) -> float:
    """The score, in [0, 1], of the order in depth of two boxes; 0 if they do not overlap. `depth`
    is `[H, W]`; larger is nearer.
    """
    nearer = _mean(depth, first, rules) - _mean(depth, second, rules)
    right = {"in front of": nearer > 0, "behind": nearer < 0, "hidden": nearer < 0}.get(
        relation or "", False
    )
    overlap = iou(first, second)
    if not right or (rules == "published" and overlap == OVERLAP):
        return 0.0
    return 1.0 if overlap > OVERLAP else overlap / OVERLAP


def _mean(depth: DepthMap, box: Box, rules: Rules) -> float:
    """The mean depth within a box; NaN for an empty box. A comparison with NaN is false, so such a
    box is neither nearer nor farther.
    """
    left, top, right, bottom = (int(value) for value in box)
    part = depth[left:right, top:bottom] if rules == "published" else depth[top:bottom, left:right]
    return float(part.mean()) if part.size else float("nan")


def depth_score(
    objects: tuple[str | None, str | None],
    relation: str | None,
    found: Detections,
    depth: DepthMap,
    rules: Rules,
) -> tuple[float, str]:
    """The score of one image, in [0, 1], and the reason if it is not full. Each object's confidence
    makes a quarter of the score, the order half.
    """
    places = (
        _published_places(objects, found)
        if rules == "published"
        else _repaired_places(objects, found)
    )
    chosen = [None if place is None else found[place] for place in places]
    score = sum(0.25 * one.score for one in chosen if one)
    missing = [str(name) for name, one in zip(objects, chosen, strict=True) if one is None]
    if missing:
        # The published rules also give the found one of two objects its quarter.
        return score, f"not found: {', '.join(missing)}"
    first, second = (one.box for one in chosen if one)
    order = order_score(relation, first, second, depth, rules)
    return score + 0.5 * order, "" if order == 1 else f"not {relation}"


def _published_places(
    objects: tuple[str | None, str | None], found: Detections
) -> list[int | None]:
    labels = " ".join(one.label for one in found)
    known = [bool(name) and str(name) in labels for name in objects]
    places: list[int | None] = [None, None]
    if not all(known):
        return [
            _first_containing(name, found) if there else None
            for name, there in zip(objects, known, strict=True)
        ]
    for index, one in enumerate(found):
        for place, name in enumerate(objects):
            if str(name) in one.label:
                places[place] = index
        if None not in places:
            break
    return places


def _first_containing(name: str | None, found: Detections) -> int | None:
    return next((index for index, one in enumerate(found) if str(name) in one.label), None)


def _repaired_places(objects: tuple[str | None, str | None], found: Detections) -> list[int | None]:
    labels = [one.label for one in found]
    return [next(iter(named(name, labels)), None) for name in objects]
