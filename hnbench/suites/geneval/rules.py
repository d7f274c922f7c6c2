"""GenEval's rules: they decide from the detections in an image whether it is correct.

Ghosh et al., "GenEval: An Object-Focused Framework for Evaluating Text-to-Image Alignment", arXiv
2310.11513; the rules are those of the published evaluation (djghosh13/geneval,
`evaluation/evaluate_images.py`). All functions are pure, and work on boxes, scores and colour names
that a detector found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hnbench.detections import Box, Detection, iou_of_pixels
from hnbench.suites.base import Verdict

THRESHOLD = 0.3
"""A detection counts if its score is above this."""
COUNTING_THRESHOLD = 0.9
"""The same threshold for prompts that ask for an exact number (the tag `counting`)."""
MAX_OBJECTS = 16
"""The most detections that are kept per class."""
MAX_OVERLAP = 1.0
"""Two detections of a class with this intersection over union or more are one object, and the less
confident one is dropped. At 1, none is dropped.
"""
POSITION_THRESHOLD = 0.1
"""Two boxes have a relative position along an axis only if their centres differ by more than this
share of the sum of their sizes.
"""

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""The colour words, in the order in which reasons list them."""

Found = TypeVar("Found", bound=Detection)

Classifier = Callable[[str, Sequence[Detection]], Sequence[str]]
"""(class, its detections) -> a colour name for each detection. It is called only if a prompt asks
for a colour.
"""


def known_colours(object_class: str, detections: Sequence[Detection]) -> list[str]:
    """The colours that a detector named itself. `ValueError` if it did not name all of them."""
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
    """The detections that count for a prompt with this tag: those above the threshold, best first,
    at most `max_objects` per class.

    Classes without any detection left are absent. The four numbers are the options of the published
    evaluation; with its defaults, no overlapping box is suppressed.
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
    """The detections without those that a better one overlaps by `max_overlap` or more."""
    # The published evaluation also skips the test at 1, so two equal boxes both stay.
    if max_overlap == 1:
        return list(detections)
    kept: list[Found] = []
    for found in detections:
        if all(iou_of_pixels(found.box, better.box) < max_overlap for better in kept):
            kept.append(found)
    return kept


def relative_position(subject: Box, target: Box, threshold: float = POSITION_THRESHOLD) -> set[str]:
    """The subject's position relative to the target: a set of "left of", "right of", "above" and
    "below".

    The offset of the centres is shortened, per axis, by `threshold` times the sum of the two boxes'
    sizes, and divided by the length of the unshortened offset. A component above one half counts.
    So a diagonal can satisfy two relations, and boxes whose centres are close satisfy none.

    >>> relative_position((0, 0, 10, 10), (50, 0, 60, 10))
    {'left of'}
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
    """The verdict on filtered `detections` (best first): all of a prompt's `include` and `exclude`
    clauses must hold.

    A clause looks only at the `count` most confident detections of its class. Further ones do no
    harm unless an `exclude` clause forbids them. The reason has one line for each clause that
    failed.
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
