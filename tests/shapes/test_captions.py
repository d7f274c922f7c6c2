from __future__ import annotations

import random

import numpy as np
import pytest

from hnbench.detections import Detection
from hnbench.shapes.captions import (
    EVALUATED,
    SHARED,
    TAGS,
    Caption,
    all_captions,
    by_text,
    evaluation_captions,
    holds,
    training_captions,
    training_prompts,
)
from hnbench.shapes.world import GAP, SIZE, Scene
from hnbench.suites.geneval.rules import evaluate


def ideal(scene: Scene) -> dict[str, list[Detection]]:
    """What a perfect detector would find."""
    found: dict[str, list[Detection]] = {}
    for item in scene.items:
        box = (
            item.x - item.radius,
            item.y - item.radius,
            item.x + item.radius,
            item.y + item.radius,
        )
        found.setdefault(item.shape, []).append(Detection(box, 1.0, item.colour))
    return found


def test_the_world_has_the_stated_captions() -> None:
    assert [len(all_captions(tag)) for tag in TAGS] == [7, 42, 21, 56, 168, 2352]
    assert len(by_text()) == 2646


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        (Caption("single_object", ("star",)), "a photo of a star"),
        (Caption("two_object", ("heart", "ring")), "a photo of a heart and a ring"),
        (Caption("counting", ("cross",), count=3), "a photo of three crosses"),
        (Caption("colors", ("circle",), ("orange",)), "a photo of an orange circle"),
        (
            Caption("position", ("star", "ring"), relation="left of"),
            "a photo of a star left of a ring",
        ),
        (
            Caption("color_attr", ("star", "ring"), ("red", "cyan")),
            "a photo of a red star and a cyan ring",
        ),
    ],
)
def test_texts(caption: Caption, text: str) -> None:
    assert caption.text == text
    assert by_text()[text] == caption


def test_position_metadata_names_the_target_first() -> None:
    include = Caption("position", ("star", "ring"), relation="left of").metadata()["include"]
    assert include == [
        {"class": "ring", "count": 1},
        {"class": "star", "count": 1, "position": ["left of", 0]},
    ]


@pytest.mark.parametrize("tag", TAGS)
def test_scenes_satisfy_their_captions_and_not_the_hard_negatives(tag: str) -> None:
    pixels, choices = np.random.default_rng(0), random.Random(0)
    for _ in range(40):
        caption = choices.choice(all_captions(tag))
        found = ideal(caption.scene(pixels))
        assert evaluate(found, caption.metadata()).correct, caption.text
        for kind, negative in caption.hard_negatives(choices).items():
            assert negative.text in by_text()
            if kind != "count" or negative.count > caption.count:
                assert not evaluate(found, negative.metadata()).correct, (
                    caption.text,
                    negative.text,
                )


def test_objects_lie_apart_and_inside() -> None:
    pixels = np.random.default_rng(1)
    for caption in all_captions("counting"):
        items = caption.scene(pixels).items
        assert len(items) == caption.count
        for index, item in enumerate(items):
            assert item.radius <= min(item.x, item.y, SIZE - item.x, SIZE - item.y)
            assert all(
                np.hypot(item.x - other.x, item.y - other.y) >= item.radius + other.radius + GAP
                for other in items[:index]
            )


def test_evaluation_and_training_captions_are_disjoint_where_there_are_enough() -> None:
    for tag in TAGS:
        evaluated = [caption for caption in evaluation_captions() if caption.tag == tag]
        assert len(set(evaluated)) == EVALUATED[tag]
        shared = set(evaluated) & set(training_captions(tag))
        assert shared == (set(evaluated) if tag in SHARED else set())


def test_training_prompts_are_in_equal_shares() -> None:
    tags = [by_text()[text].tag for text in training_prompts()]
    assert {tag: tags.count(tag) for tag in TAGS} == dict.fromkeys(TAGS, 84)


def test_holds_agrees_with_the_rules_on_scenes() -> None:
    pixels, choices = np.random.default_rng(2), random.Random(2)
    captions = list(by_text().values())
    for _ in range(60):
        truth = choices.choice(all_captions(choices.choice(TAGS)))
        found = ideal(truth.scene(pixels))
        for caption in choices.sample(captions, 60):
            if holds(caption, truth):
                assert evaluate(found, caption.metadata()).correct, (caption.text, truth.text)
