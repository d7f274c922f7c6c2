"""The rules against pairs of the upstream functions, and each quirk beside its repair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hnbench.suites.t2i_compbench.depth_order import depth_score, order_score
from hnbench.suites.t2i_compbench.detections import LabelledBox
from hnbench.suites.t2i_compbench.numeracy import (
    counted_objects,
    is_duplicate,
    numeracy_score,
    without_duplicates,
)
from hnbench.suites.t2i_compbench.spatial import (
    objects_of,
    objects_of_complex,
    position_score,
    relation_in,
    spatial_score,
)
from tests.suites.t2i_compbench.conftest import GOLDEN

LEFT, RIGHT, FAR = (
    (0.0, 0.0, 100.0, 100.0),
    (200.0, 0.0, 300.0, 100.0),
    (300.0, 300.0, 400.0, 400.0),
)
SINGULAR = {
    "boys": "boy",
    "cats": "cat",
    "fish": "fish",
    "tennis rackets": "tennis racket",
    "apples": "apple",
}


def approx(score: float, reason: str) -> Any:
    return (pytest.approx(score), reason)


def ids(case: dict[str, Any]) -> str:
    return f"{case['locality']} {case['box2']}"


@pytest.mark.parametrize("case", GOLDEN["t2icompbench_2d_determine_position"], ids=ids)
def test_2d_positions(case: dict[str, Any]) -> None:
    assert position_score(
        case["locality"], tuple(case["box1"]), tuple(case["box2"])
    ) == pytest.approx(case["score"], abs=1e-12)


@pytest.mark.parametrize("case", GOLDEN["t2icompbench_3d_determine_position"]["cases"], ids=ids)
def test_3d_orders(case: dict[str, Any]) -> None:
    depth = np.zeros((480, 480))
    depth[:240] = 1.0
    assert order_score(
        case["locality"], tuple(case["box1"]), tuple(case["box2"]), depth
    ) == pytest.approx(case["score"], abs=1e-12)


@pytest.mark.parametrize("case", GOLDEN["t2icompbench_numeracy_duplicate"])
def test_duplicates(case: dict[str, Any]) -> None:
    assert is_duplicate(tuple(case["a"]), tuple(case["b"])) == bool(case["dup"])


def test_the_first_relation_of_the_list_counts() -> None:
    assert relation_in("a cat on the top of a candle") == "on the top of"
    assert relation_in("The red mug is on top of the tray near the cup.") == "near"
    assert relation_in("a cat") is None


def test_the_first_and_the_last_noun_are_the_objects() -> None:
    assert objects_of(["woman", "left", "microwave"]) == ("person", "microwave")
    assert objects_of([]) == (None, None)


def test_the_objects_around_a_preposition() -> None:
    assert around(
        "The/DET red/ADJ mug/NOUN was/AUX on/ADP top/NOUN of/ADP the/DET green/ADJ picture/NOUN"
        " frame/NOUN"
    ) == ("mug", "picture")
    assert around("near/ADP a/DET cat/NOUN") == (None, None)
    assert around("Tom/PROPN sat/VERB next/ADV to/ADP Mary/PROPN ./PUNCT") == ("Tom", "Mary")


def around(tagged: str) -> tuple[str | None, str | None]:
    words, tags = zip(*(item.split("/") for item in tagged.split()), strict=True)
    return objects_of_complex(words, tags)


def test_the_weights_of_a_2d_score() -> None:
    found = [
        LabelledBox("cat", 0.9, LEFT),
        LabelledBox("dog", 0.7, RIGHT),
        LabelledBox("cat", 0.6, FAR),
    ]
    assert spatial_score(("cat", "dog"), "on the left of", found, "published") == approx(
        0.25 * 1.6 + 0.5, ""
    )
    assert spatial_score(("cat", "dog"), "on the right of", found, "published") == (
        0.0,
        "not on the right of",
    )
    assert spatial_score(("cat", "cow"), "on the left of", found, "published") == (
        0.0,
        "not found: cow",
    )
    assert spatial_score((None, None), "on the left of", found, "published")[0] == 0


def test_quirk_on_top_of_has_no_rule() -> None:
    found = [LabelledBox("cat", 0.9, (0, 0, 100, 100)), LabelledBox("box", 0.9, (0, 200, 100, 300))]
    assert spatial_score(("cat", "box"), "on top of", found, "published")[0] == 0
    assert spatial_score(("cat", "box"), "on top of", found, "repaired")[0] == pytest.approx(0.95)


def test_quirk_a_noun_must_be_a_label() -> None:
    found = [LabelledBox("cat", 0.8, LEFT), LabelledBox("dining table", 0.8, RIGHT)]
    assert spatial_score(("cat", "table"), "on the left of", found, "published")[0] == 0
    assert spatial_score(("cat", "table"), "on the left of", found, "repaired")[0] == pytest.approx(
        0.9
    )
    assert spatial_score(("cat", "tab"), "on the left of", found, "repaired")[0] == 0


def test_quirk_the_depth_is_transposed() -> None:
    """All of the first box is near and most of the second; mirrored in the diagonal, neither is."""
    depth = np.zeros((480, 480))
    depth[:100, 100:] = 1.0
    first, second = (150.0, 0.0, 250.0, 90.0), (100.0, 20.0, 250.0, 110.0)
    assert order_score("in front of", first, second, depth, "repaired") == pytest.approx(
        7000 / 15500 / 0.5
    )
    assert order_score("in front of", first, second, depth, "published") == 0.0


def test_quirk_one_half() -> None:
    depth = np.eye(480)
    depth[:100, :100] = 2.0
    first, second = (0.0, 0.0, 100.0, 100.0), (0.0, 0.0, 100.0, 200.0)
    assert order_score("in front of", first, second, depth, "published") == 0.0
    assert order_score("in front of", first, second, depth, "repaired") == 1.0


def test_quirk_substrings_and_last_match() -> None:
    depth = np.zeros((480, 480))
    depth[:150, :150] = 1.0
    near, far = (0.0, 0.0, 100.0, 100.0), (10.0, 10.0, 110.0, 110.0)
    cattle = [LabelledBox("cattle", 0.8, near), LabelledBox("desk", 0.8, far)]
    assert depth_score(("cat", "desk"), "behind", cattle, depth, "published")[0] == pytest.approx(
        0.4
    )
    assert depth_score(("cat", "desk"), "behind", cattle, depth, "repaired") == approx(
        0.2, "not found: cat"
    )
    cats = [
        LabelledBox("cat", 0.9, near),
        LabelledBox("cat", 0.5, FAR),
        LabelledBox("desk", 0.8, far),
    ]
    assert depth_score(("cat", "desk"), "near", cats, depth, "published")[0] == pytest.approx(
        0.25 * (0.5 + 0.8)
    )
    assert depth_score(("cat", "desk"), "near", cats, depth, "repaired")[0] == pytest.approx(
        0.25 * (0.9 + 0.8)
    )


def test_a_single_object_has_a_quarter_in_3d_without_any_cut() -> None:
    depth = np.zeros((480, 480))
    assert depth_score(
        ("cat", "cow"), "behind", [LabelledBox("cat", 0.8, LEFT)], depth, "published"
    ) == approx(0.2, "not found: cow")
    assert depth_score(("cat", "cow"), "behind", [], depth, "published")[0] == 0


def test_a_box_outside_the_map_has_no_depth() -> None:
    outside = (500.0, 500.0, 600.0, 600.0)
    assert order_score("behind", outside, outside, np.zeros((480, 480))) == 0.0


@pytest.mark.parametrize(
    ("prompt", "counted"),
    [
        ("two boys", [("boy", 2)]),
        (
            "a cat, three tennis rackets and one apple",
            [("cat", 1), ("tennis racket", 3), ("apple", 1)],
        ),
        ("four fish and a fish", [("fish", 4), ("fish", 1)]),
        ("five clouds", []),
    ],
)
def test_what_a_prompt_counts(prompt: str, counted: list[tuple[str, int]]) -> None:
    assert counted_objects(prompt.replace(",", "").split(), SINGULAR) == counted


def test_the_weights_of_numeracy() -> None:
    found = [
        LabelledBox("person", 0.9, LEFT),
        LabelledBox("person", 0.9, RIGHT),
        LabelledBox("cat", 0.9, FAR),
    ]
    assert numeracy_score([("boy", 2), ("cat", 2)], found, "published") == approx(
        0.75, "expected 2 cat, found 1"
    )
    assert numeracy_score([("apple", 1)], found, "published")[0] == 0
    with pytest.raises(ValueError, match="counts nothing"):
        numeracy_score([], found, "published")


def test_quirk_near_duplicates() -> None:
    small, large = (10.0, 10.0, 20.0, 20.0), (0.0, 0.0, 100.0, 100.0)
    found = [
        LabelledBox("cat", 0.9, small),
        LabelledBox("cat", 0.8, large),
        LabelledBox("dog", 0.8, large),
    ]
    assert [one.label for one in without_duplicates(found, "published")] == ["cat", "dog"]
    assert [one.label for one in without_duplicates(found, "repaired")] == ["cat", "cat", "dog"]


def test_quirk_renaming() -> None:
    """The pineapple is renamed to an apple, so it is no pineapple for the object after it."""
    counted, found = [("apple", 1), ("pineapple", 1)], [LabelledBox("pineapple", 0.9, LEFT)]
    assert numeracy_score(counted, found, "published")[0] == pytest.approx(0.5)
    assert numeracy_score(list(reversed(counted)), found, "published")[0] == pytest.approx(
        0.5 + 0.5
    )
    assert numeracy_score(counted, found, "repaired") == approx(0.5, "expected 1 apple, found 0")
