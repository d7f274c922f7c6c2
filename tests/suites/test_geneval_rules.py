import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnbench.detections import Box, Detection, iou_of_pixels
from hnbench.suites.geneval.rules import evaluate, filter_detections, relative_position

GOLDEN = json.loads((Path(__file__).parent / "golden_geneval.json").read_text(encoding="utf-8"))


def box_of(numbers: Sequence[float]) -> Box:
    left, top, right, bottom = numbers[:4]
    return left, top, right, bottom


@pytest.mark.parametrize("case", GOLDEN["geneval_relative_position"])
def test_golden_relative_positions(case: dict[str, Any]) -> None:
    assert relative_position(box_of(case["a"]), box_of(case["b"])) == set(case["a_rel_b"])


@pytest.mark.parametrize("case", GOLDEN["geneval_iou"])
def test_golden_ious(case: dict[str, Any]) -> None:
    assert iou_of_pixels(box_of(case["a"]), box_of(case["b"])) == case["iou"]


@pytest.mark.parametrize("case", GOLDEN["geneval_evaluate"], ids=lambda case: case["case"])
def test_golden_verdicts(case: dict[str, Any]) -> None:
    detections = {
        name: [Detection(box_of(numbers), numbers[4]) for numbers in found]
        for name, found in case["detected"].items()
    }  # fmt: skip
    verdict = evaluate(
        detections,
        case["metadata"],
        classify=lambda name, found: case["colors"][name][: len(found)],
    )
    assert (verdict.correct, verdict.reason) == (case["correct"], case["reason"])


OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
coordinates = st.integers(0, 512)
boxes = st.tuples(coordinates, coordinates, st.integers(1, 512), st.integers(1, 512)).map(
    lambda numbers: box_of(
        [numbers[0], numbers[1], numbers[0] + numbers[2], numbers[1] + numbers[3]]
    )
)


@given(boxes, boxes)
def test_positions_seen_from_the_other_object_are_the_opposite_ones(
    first: Box, second: Box
) -> None:
    assert relative_position(second, first) == {
        OPPOSITE[relation] for relation in relative_position(first, second)
    }


@given(boxes, boxes)
def test_positions_turn_with_the_image(first: Box, second: Box) -> None:
    turned = {"left of": "above", "right of": "below", "above": "left of", "below": "right of"}
    flipped = [box_of([box[1], box[0], box[3], box[2]]) for box in (first, second)]
    assert relative_position(flipped[0], flipped[1]) == {
        turned[relation] for relation in relative_position(first, second)
    }


def test_the_offset_is_shortened_but_its_length_is_not() -> None:
    # Two squares of side 100 shorten each axis by 20. An offset of (x, 0) leaves (x - 20) / x,
    # above one half from x = 40 on.
    def shifted(x: float) -> Box:
        return (x, 0.0, x + 100.0, 100.0)

    assert relative_position(shifted(41.0), shifted(0.0)) == {"right of"}
    assert relative_position(shifted(39.0), shifted(0.0)) == set()
    assert relative_position(shifted(39.0), shifted(0.0), threshold=0.0) == {"right of"}


def test_a_diagonal_satisfies_two_relations() -> None:
    assert relative_position((300.0, 300.0, 400.0, 400.0), (0.0, 0.0, 100.0, 100.0)) == {
        "right of",
        "below",
    }


@given(boxes, boxes)
def test_iou_counts_pixels(first: Box, second: Box) -> None:
    # Independent truth: how much of each axis the two intervals share, counted pixel by pixel, the
    # last one included.
    across = len(
        set(range(int(first[0]), int(first[2]) + 1))
        & set(range(int(second[0]), int(second[2]) + 1))
    )
    down = len(
        set(range(int(first[1]), int(first[3]) + 1))
        & set(range(int(second[1]), int(second[3]) + 1))
    )
    sizes = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second)]
    assert iou_of_pixels(first, second) == pytest.approx(
        across * down / (sum(sizes) - across * down)
    )


def test_iou_is_geneval_s() -> None:
    assert iou_of_pixels((0, 0, 9, 9), (5, 5, 14, 14)) == pytest.approx(
        1 / 7
    )  # 5x5 of 10x10 pixels each
    assert iou_of_pixels((5.0, 5.0, 4.0, 4.0), (5.0, 5.0, 4.0, 4.0)) == 0.0


def test_overlapping_detections_are_dropped_where_the_option_says_so() -> None:
    side_by_side = [
        Detection((left, 0.0, left + 99.0, 99.0), score)
        for left, score in ((0.0, 0.9), (50.0, 0.8), (100.0, 0.7))
    ]
    # neighbours share 50 of 150 columns; the first and the last share none
    kept = filter_detections({"dog": side_by_side}, "single_object", max_overlap=1 / 3)
    assert scores_of(kept["dog"]) == [0.9, 0.7]
    assert (
        len(filter_detections({"dog": side_by_side}, "single_object", max_overlap=0.34)["dog"]) == 3
    )


def test_a_wrong_colour_lists_all_colours_in_the_published_order() -> None:
    metadata = {"include": [{"class": "cup", "count": 4, "color": "black"}]}
    cups = found(0.9, 0.8, 0.7, 0.6, colours=["black", "purple", "black", "black"])
    assert (
        evaluate({"cup": cups}, metadata).reason
        == "expected black cup>=4, found 3 black; and 1 purple, 3 black"
    )


def found(
    *scores: float, colours: Sequence[str | None] | None = None, left: float = 0.0
) -> list[Detection]:
    named = colours or [None] * len(scores)
    return [
        Detection((left, 0.0, left + 100.0, 100.0), score, colour)
        for score, colour in zip(scores, named, strict=True)
    ]


def scores_of(detections: Sequence[Detection]) -> list[float]:
    return [detection.score for detection in detections]


def test_detections_are_filtered_strictly_and_sorted() -> None:
    raw = {"dog": found(0.3, 0.31, 0.9, 0.95, math.nan), "cat": found(0.3), "bird": []}
    kept = filter_detections(raw, "two_object")
    assert {name: scores_of(left) for name, left in kept.items()} == {"dog": [0.95, 0.9, 0.31]}
    counted = filter_detections(raw, "counting")
    assert {name: scores_of(left) for name, left in counted.items()} == {"dog": [0.95]}
    assert scores_of(filter_detections(raw, "counting", counting_threshold=0.5)["dog"]) == [
        0.95,
        0.9,
    ]
    assert scores_of(filter_detections(raw, "colors", threshold=0.9)["dog"]) == [0.95]


def test_the_most_confident_sixteen_of_a_class_are_kept() -> None:
    scores = [0.4 + 0.01 * place for place in range(20)]
    assert (
        scores_of(filter_detections({"dog": found(*scores)}, "single_object")["dog"])
        == sorted(scores, reverse=True)[:16]
    )
    assert (
        len(filter_detections({"dog": found(*scores)}, "single_object", max_objects=3)["dog"]) == 3
    )


def test_overlapping_detections_are_all_kept() -> None:
    assert len(filter_detections({"dog": found(0.8, 0.8, 0.8)}, "single_object")["dog"]) == 3


def test_more_than_asked_for_is_wrong_only_where_it_is_excluded() -> None:
    clause = {"class": "clock", "count": 2}
    assert evaluate({"clock": found(0.95, 0.95, 0.95)}, {"include": [clause]}).correct
    verdict = evaluate(
        {"clock": found(0.95, 0.95, 0.95)},
        {"include": [clause], "exclude": [{"class": "clock", "count": 3}]},
    )
    assert (verdict.correct, verdict.reason) == (False, "expected clock<3, found 3")


def test_every_failed_clause_is_named() -> None:
    metadata = {
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1}],
        "exclude": [{"class": "bird", "count": 1}],
    }
    verdict = evaluate({"bird": found(0.9)}, metadata)
    assert verdict.reason.splitlines() == [
        "expected dog>=1, found 0",
        "expected cat>=1, found 0",
        "expected bird<1, found 1",
    ]


def test_colours_are_asked_only_of_the_clauses_that_name_one_and_only_of_the_best_detections() -> (
    None
):
    asked: list[tuple[str, int]] = []

    def classify(name: str, detections: Sequence[Detection]) -> list[str]:
        asked.append((name, len(detections)))
        return ["red"] * len(detections)

    metadata = {
        "include": [
            {"class": "dog", "count": 1},
            {"class": "car", "count": 1, "color": "red"},
            {"class": "bus", "count": 1, "color": "red"},
        ]
    }
    assert not evaluate(
        {"dog": found(0.9), "car": found(0.9, 0.8)}, metadata, classify=classify
    ).correct
    assert asked == [("car", 1)]


def test_colours_that_the_detector_knows_need_no_classifier() -> None:
    metadata = {"include": [{"class": "car", "count": 2, "color": "red"}]}
    assert evaluate({"car": found(0.9, 0.8, colours=["red", "red"])}, metadata).correct
    verdict = evaluate({"car": found(0.9, 0.8, colours=["red", "blue"])}, metadata)
    assert verdict.reason == "expected red car>=2, found 1 red; and 1 red, 1 blue"
    with pytest.raises(ValueError, match="0 of 2 colours"):
        evaluate({"car": found(0.9, 0.8)}, metadata)


def test_every_pair_must_stand_in_the_relation() -> None:
    metadata = {
        "include": [
            {"class": "cup", "count": 2},
            {"class": "dog", "count": 1, "position": ["right of", 0]},
        ]
    }
    cups = [*found(0.9), *found(0.8, left=600.0)]
    assert not evaluate({"cup": cups, "dog": found(0.9, left=300.0)}, metadata).correct
    assert evaluate({"cup": cups, "dog": found(0.9, left=1200.0)}, metadata).correct


def test_a_wrong_position_says_what_holds_instead() -> None:
    metadata = {
        "include": [
            {"class": "cup", "count": 1},
            {"class": "dog", "count": 1, "position": ["left of", 0]},
        ]
    }
    assert (
        evaluate({"cup": found(0.9), "dog": found(0.9, left=300.0)}, metadata).reason
        == "expected dog left of target, found right of target"
    )
    assert (
        evaluate({"cup": found(0.9), "dog": found(0.9)}, metadata).reason
        == "expected dog left of target, found  target"
    )


def test_a_target_of_the_wrong_colour_is_no_target() -> None:
    metadata = {
        "include": [
            {"class": "cup", "count": 1, "color": "red"},
            {"class": "dog", "count": 1, "position": ["right of", 0]},
        ]
    }
    verdict = evaluate(
        {"cup": found(0.9, colours=["blue"]), "dog": found(0.9, left=300.0)}, metadata
    )
    assert verdict.reason.splitlines() == [
        "expected red cup>=1, found 0 red; and 1 blue",
        "no target for dog to be right of",
    ]


def test_the_position_threshold_is_an_option() -> None:
    metadata = {
        "include": [
            {"class": "cup", "count": 1},
            {"class": "dog", "count": 1, "position": ["right of", 0]},
        ]
    }
    near = {"cup": found(0.9), "dog": found(0.9, left=39.0)}
    assert not evaluate(near, metadata).correct
    assert evaluate(near, metadata, position_threshold=0.0).correct
