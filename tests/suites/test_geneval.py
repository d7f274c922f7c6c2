"""GenEval's prompts and its judge. The rules, the detector and the colours have tests of their
own.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hnbench.errors import UsageError
from hnbench.suites.geneval import detector as detector_module
from hnbench.suites.geneval import judge as judge_module
from hnbench.suites.geneval import suite as suite_module
from hnbench.suites.geneval.colours import ColourClassifier, CutOut
from hnbench.suites.geneval.detector import Instance, InstanceDetector
from hnbench.suites.geneval.judge import GenEvalJudge, class_names
from hnbench.suites.geneval.rules import filter_detections
from hnbench.suites.geneval.suite import COUNTS, GenEvalHuggingFaceSuite, GenEvalSuite, parse
from hnbench.weights.pinned_files import VARIABLE
from tests.suites.mask2former import NAMES, network
from tests.suites.protocols import tasks_of
from tests.suites.test_geneval_colours import classifier, clip

needs_data = pytest.mark.skipif(
    not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder with GenEval's prompt file"
)


def lines(**counts: int) -> str:
    """A file with as many prompts of each task."""
    rows = [
        {"tag": tag, "include": [{"class": "cow", "count": 1}], "prompt": f"{tag} {index}"}
        for tag, count in {**COUNTS, **counts}.items()
        for index in range(count)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_module, "_published", lambda: parse(lines()))


@pytest.mark.usefixtures("made_up")
def test_the_protocol_is_553_prompts_with_four_images_each() -> None:
    suite = GenEvalSuite()
    assert [prompt.id for prompt in suite.prompts()] == [f"{index:05d}" for index in range(553)]
    tasks = tasks_of(suite, full=True)
    assert len(set(tasks)) == len(tasks) == 2212
    assert suite.tags == (
        "single_object",
        "two_object",
        "counting",
        "colors",
        "position",
        "color_attr",
    )


@pytest.mark.usefixtures("made_up")
def test_the_quick_protocol_is_the_first_seven_prompts_of_each_task() -> None:
    suite = GenEvalSuite()
    assert Counter(prompt.tag for prompt in suite.subset()) == dict.fromkeys(COUNTS, 7)
    assert {prompt.text for prompt in suite.subset() if prompt.tag == "counting"} == {
        f"counting {index}" for index in range(7)
    }
    assert len(tasks_of(suite, full=False)) == 168
    assert set(tasks_of(suite, full=False)) <= set(tasks_of(suite, full=True))


@pytest.mark.usefixtures("made_up")
def test_the_other_detector_is_another_suite_of_the_same_prompts() -> None:
    assert GenEvalHuggingFaceSuite.name != GenEvalSuite.name
    assert GenEvalHuggingFaceSuite().prompts() == GenEvalSuite().prompts()


def test_other_numbers_of_prompts_are_refused() -> None:
    with pytest.raises(UsageError, match="'two_object': 98"):
        parse(lines(two_object=98))


@needs_data
def test_the_published_prompts_are_read_as_they_are() -> None:
    prompts = GenEvalSuite().prompts()
    assert len({prompt.text for prompt in prompts}) == len(prompts) == 553
    first = {
        tag: next(int(prompt.id) for prompt in prompts if prompt.tag == tag)
        for tag in GenEvalSuite.tags
    }
    assert first == {
        "single_object": 0,
        "two_object": 80,
        "counting": 179,
        "colors": 259,
        "position": 353,
        "color_attr": 453,
    }
    dog = prompts[353]
    assert dog.text == "a photo of a dog right of a teddy bear"
    assert [clause["class"] for clause in dog.metadata["include"]] == ["teddy bear", "dog"]
    assert dog.metadata["include"][1]["position"] == ["right of", 0]
    assert any("knifes" in prompt.text for prompt in prompts)


@needs_data
def test_the_classes_are_the_80_that_the_prompts_name() -> None:
    names = class_names()
    assert len(set(names)) == len(names) == 80
    assert (names[0], names[-1]) == ("person", "toothbrush")
    assert {
        clause["class"]
        for prompt in GenEvalSuite().prompts()
        for clause in prompt.metadata["include"]
    } <= set(names)


class Given(InstanceDetector):
    """Finds what it is told to, image by image."""

    def __init__(self, *found: dict[str, list[Instance]]) -> None:
        self.found = list(found)

    def detect(
        self, images: Sequence[Image.Image], smallest: float
    ) -> list[dict[str, list[Instance]]]:
        assert smallest == 0.3
        return [self.found.pop(0) for _ in images]


class Colours(ColourClassifier):
    """Says the colour of the pixel in the middle of the box, and notes what it was asked."""

    fingerprint = "colours"

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[float, ...]]] = []

    def classify(self, cut_outs: Sequence[CutOut]) -> list[str]:
        self.asked += [(item.name, item.instance.box) for item in cut_outs]
        middles = [
            (
                (item.instance.box[0] + item.instance.box[2]) / 2,
                (item.instance.box[1] + item.instance.box[3]) / 2,
            )
            for item in cut_outs
        ]
        pixels: list[Any] = [
            item.image.getpixel((int(x), int(y)))
            for item, (x, y) in zip(cut_outs, middles, strict=True)
        ]
        return ["red" if pixel[0] > 128 else "blue" for pixel in pixels]


def instance(left: int, score: float) -> Instance:
    return Instance((float(left), 0.0, left + 8.0, 8.0), score, mask=np.ones((8, 24), bool))


RED_BLUE = Image.fromarray(
    np.concatenate([np.full((8, 12, 3), (255, 0, 0)), np.full((8, 12, 3), (0, 0, 255))], 1).astype(
        np.uint8
    )
)


def asks(
    tag: str, *clauses: dict[str, Any], exclude: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {"tag": tag, "include": list(clauses), "exclude": list(exclude), "prompt": "a photo"}


def test_verdicts_carry_the_detections_that_counted_best_first() -> None:
    found = {
        "cow": [instance(0, 0.5), instance(8, 0.95), instance(16, 0.31)],
        "dog": [instance(0, 0.3)],
    }
    judge = GenEvalJudge(Given(found, found), Colours(), fingerprint="given")
    about = [
        asks("two_object", {"class": "cow", "count": 1}, {"class": "dog", "count": 1}),
        asks("counting", {"class": "cow", "count": 1}),
    ]
    both, counted = judge.judge([RED_BLUE, RED_BLUE], about)
    assert (both.correct, both.reason) == (False, "expected dog>=1, found 0")
    assert both.details == {
        "cow": [
            [8.0, 0.0, 16.0, 8.0, 0.95],
            [0.0, 0.0, 8.0, 8.0, 0.5],
            [16.0, 0.0, 24.0, 8.0, 0.31],
        ]
    }
    assert counted.correct
    assert counted.details == {"cow": [[8.0, 0.0, 16.0, 8.0, 0.95]]}
    assert json.loads(json.dumps(dict(both.details))) == both.details


def test_colours_are_asked_of_the_detections_that_a_clause_looks_at_and_of_no_others() -> None:
    colours = Colours()
    judge = GenEvalJudge(
        Given({"car": [instance(0, 0.5), instance(16, 0.9)], "dog": [instance(0, 0.8)]}),
        colours,
        fingerprint="given",
    )
    (verdict,) = judge.judge(
        [RED_BLUE],
        [
            asks(
                "color_attr",
                {"class": "car", "count": 1, "color": "red"},
                {"class": "dog", "count": 1},
            )
        ],
    )
    assert colours.asked == [("car", (16.0, 0.0, 24.0, 8.0))]
    assert verdict.reason == "expected red car>=1, found 0 red; and 1 blue"


def verified(person: float, colours: ColourClassifier | None = None) -> None:
    found = {"person": [instance(0, person)], "tie": [instance(0, 0.4)]}
    GenEvalJudge(Given(found), colours or Colours(), fingerprint="given").verify()


def test_a_judge_that_finds_the_person_and_tells_red_from_blue_is_believed() -> None:
    colours = Colours()
    verified(0.91, colours)
    assert colours.asked == [("frisbee", (0.0, 0.0, 224.0, 224.0))] * 2


def test_a_person_below_the_counting_threshold_is_not_enough() -> None:
    with pytest.raises(
        UsageError,
        match=(
            r"GenEval's detector .* expected a person above 0.9, and found person 0.90, tie 0.40;"
        ),
    ):
        verified(0.9)


def test_a_random_detector_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_module, "LONG", 96)
    monkeypatch.setattr(detector_module, "SHORT", 64)
    judge = GenEvalJudge(
        InstanceDetector(network(), ["person", *NAMES[1:]]), Colours(), fingerprint="random"
    )
    with pytest.raises(
        UsageError,
        match=(
            r"GenEval's detector .* expected a person above 0.9, and found .*; its scores would"
            r" mean nothing"
        ),
    ):
        judge.verify()


def test_a_random_colour_classifier_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"GenEval's colour classifier .* expected discs of red, blue, and found \w+, \w+;",
    ):
        verified(0.95, classifier(clip()))


def test_real_networks_give_a_verdict_for_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_module, "LONG", 96)
    monkeypatch.setattr(detector_module, "SHORT", 64)
    monkeypatch.setattr(judge_module, "THRESHOLD", 0.02)
    monkeypatch.setattr(
        judge_module, "filter_detections", partial(filter_detections, threshold=0.02)
    )
    judge = GenEvalJudge(
        InstanceDetector(network(), NAMES), classifier(clip()), fingerprint="random"
    )
    rng = np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(0, 256, (64, side, 3), dtype=np.uint8))
        for side in (64, 80, 64)
    ]
    about = asks("color_attr", *({"class": name, "count": 1, "color": "red"} for name in NAMES))
    verdicts = judge.judge(images, [about] * 3)
    assert len(verdicts) == 3
    assert any(verdict.details for verdict in verdicts)
    assert all(set(verdict.details) <= set(NAMES) for verdict in verdicts)


def test_other_weights_are_another_judge() -> None:
    first, second = (
        GenEvalJudge(Given(), Colours(), fingerprint=name).fingerprint for name in ("a", "b")
    )
    assert first != second
