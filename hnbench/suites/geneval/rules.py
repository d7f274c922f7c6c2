"""GenEval's verdict: from what was detected in an image to correct or not.

Ghosh et al., "GenEval: An Object-Focused Framework for Evaluating Text-to-Image Alignment", arXiv
2310.11513; the rules are those of the published evaluation (djghosh13/geneval,
`evaluation/evaluate_images.py`). Pure functions of boxes, scores and colour names; finding them in
an image is the detector's part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hnbench.detections import Box, Detection, iou_of_pixels
from hnbench.suites.base import Verdict

THRESHOLD = 0.3
"""A detection counts when its score is above this..."""
COUNTING_THRESHOLD = 0.9
"""... or above this, in prompts that ask for an exact number."""
MAX_OBJECTS = 16
"""Detections kept per class."""
MAX_OVERLAP = 1.0
"""The intersection over union from which on the less confident of two detections of a class is
dropped; none is, at 1.
"""
POSITION_THRESHOLD = 0.1
"""The share of both boxes' sizes by which centres must differ before they have a relative
position.
"""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The colour words, in the order in which reasons list them."""

Found = TypeVar("Found", bound=Detection)

Classifier = Callable[[str, Sequence[Detection]], Sequence[str]]
"""(class, detections of it) -> a colour name for each. Called only where a prompt asks for a
colour.
"""


def known_colours(object_class: str, detections: Sequence[Detection]) -> list[str]:
    """Classify for a detector that names the colour of all that it finds; ValueError where it did
    not.
    """
    colours = [detection.colour for detection in detections if detection.colour is not None]
    if len(colours) < len(detections):
        raise ValueError(
            f"{object_class}: the detector named {len(colours)} of {len(detections)} colours; give"
            " evaluate() a classifier"
        )
    return colours


def filter_detections(
    raw: Mapping[str, Sequence[Found]],
    tag: str,
    *,
    threshold: float = THRESHOLD,
    counting_threshold: float = COUNTING_THRESHOLD,
    max_objects: int = MAX_OBJECTS,
    max_overlap: float = MAX_OVERLAP,
) -> dict[str, list[Found]]:
    """Keep what counts as detected under a prompt's tag: above the threshold, best first, up to
    the limit per class.

    Classes of which nothing is left are absent. The four numbers are the options of the published
    evaluation; at its defaults no overlapping box is suppressed.
    """
    limit = counting_threshold if tag == "counting" else threshold
    kept = {
        object_class: sorted(
            (found for found in detections if found.score > limit),
            key=lambda found: found.score,
            reverse=True,
        )
        for object_class, detections in raw.items()
    }
    return {
        object_class: _apart(detections[:max_objects], max_overlap)
        for object_class, detections in kept.items()
        if detections
    }


def _apart(detections: Sequence[Found], max_overlap: float) -> list[Found]:
    """The detections without those that a better one overlaps as much as `max_overlap`."""
    if max_overlap == 1:
        return list(detections)
    kept: list[Found] = []
    for found in detections:
        if all(iou_of_pixels(found.box, better.box) < max_overlap for better in kept):
            kept.append(found)
    return kept


def relative_position(subject: Box, target: Box, threshold: float = POSITION_THRESHOLD) -> set[str]:
    """Where the subject is, seen from the target: some of "left of", "right of", "above", "below".

    The offset of the centres is shortened, per axis, by `threshold` times the sum of the two boxes'
    sizes, and divided by the length of the unshortened offset. A component above one half counts,
    so a diagonal can satisfy two relations, and boxes whose centres are close satisfy none.
    """
    offset = [
        (subject[axis] + subject[axis + 2] - target[axis] - target[axis + 2]) / 2 for axis in (0, 1)
    ]
    size = [subject[axis + 2] - subject[axis] + target[axis + 2] - target[axis] for axis in (0, 1)]
    shortened = [
        math.copysign(max(abs(offset[axis]) - threshold * size[axis], 0.0), offset[axis])
        for axis in (0, 1)
    ]
    if max(abs(component) for component in shortened) < 1e-3:
        return set()
    across, down = (component / math.hypot(*offset) for component in shortened)
    holds = {
        "left of": across < -0.5,
        "right of": across > 0.5,
        "above": down < -0.5,
        "below": down > 0.5,
    }
    return {relation for relation, true in holds.items() if true}


def evaluate(
    detections: Mapping[str, Sequence[Detection]],
    metadata: Mapping[str, Any],
    *,
    classify: Classifier = known_colours,
    position_threshold: float = POSITION_THRESHOLD,
) -> Verdict:
    """Whether filtered `detections` (best first) satisfy a prompt's `include` and `exclude`
    clauses; all of them must hold.

    A clause looks at the `count` most confident detections of its class and at no others: further
    ones do no harm unless an `exclude` clause forbids them. The reason has one line for each clause
    that failed.
    """
    reasons: list[str] = []
    groups: list[Sequence[Detection] | None] = []
    for clause in metadata.get("include", ()):
        found = detections.get(clause["class"], [])[: clause["count"]]
        reason = (
            _wrong_count(clause, found)
            or _wrong_colour(clause, found, classify)
            or _wrong_position(clause, found, groups, position_threshold)
        )
        groups.append(None if reason else found)
        reasons.append(reason)
    reasons += [_too_many(clause, detections) for clause in metadata.get("exclude", ())]
    failed = [reason for reason in reasons if reason]
    return Verdict(not failed, "\n".join(failed))


def _wrong_count(clause: Mapping[str, Any], found: Sequence[Detection]) -> str:
    return (
        f"expected {clause['class']}>={clause['count']}, found {len(found)}"
        if len(found) < clause["count"]
        else ""
    )


def _wrong_colour(
    clause: Mapping[str, Any], found: Sequence[Detection], classify: Classifier
) -> str:
    wanted = clause.get("color")
    if wanted is None:
        return ""
    tally = Counter(classify(clause["class"], found))
    if tally[wanted] >= clause["count"]:
        return ""
    listed = ", ".join(
        f"{tally[colour]} {colour}"
        for colour in (*COLOURS, *sorted(tally.keys() - COLOURS))
        if colour in tally
    )
    return (
        f"expected {wanted} {clause['class']}>={clause['count']}, found {tally[wanted]} {wanted};"
        f" and {listed}"
    )


def _wrong_position(
    clause: Mapping[str, Any],
    found: Sequence[Detection],
    groups: Sequence[Sequence[Detection] | None],
    threshold: float,
) -> str:
    if clause.get("position") is None:
        return ""
    relation, target = clause["position"]
    targets = groups[target]
    if targets is None:
        return f"no target for {clause['class']} to be {relation}"
    for subject in found:
        for other in targets:
            holds = relative_position(subject.box, other.box, threshold)
            if relation not in holds:
                return (
                    f"expected {clause['class']} {relation} target, found"
                    f" {' and '.join(sorted(holds))} target"
                )
    return ""


def _too_many(clause: Mapping[str, Any], detections: Mapping[str, Sequence[Detection]]) -> str:
    number = len(detections.get(clause["class"], []))
    return (
        f"expected {clause['class']}<{clause['count']}, found {number}"
        if number >= clause["count"]
        else ""
    )
