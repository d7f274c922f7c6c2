from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from hnbench.errors import UsageError
from hnbench.shapes import pieces
from hnbench.shapes.captions import SHARED, TAGS, by_text, training_prompts
from hnbench.shapes.drawing import draw
from hnbench.shapes.world import PALETTE, Item, Scene
from hnbench.suites.shapes import ShapesSuite
from tests.suites.protocols import tasks_of


def test_the_full_protocol_has_336_images_of_each_task() -> None:
    suite = ShapesSuite()
    tags = {prompt.id: prompt.tag for prompt in suite.prompts()}
    tasks = tasks_of(suite, full=True)
    assert len(set(tasks)) == len(tasks) == 2016
    assert Counter(tags[task.prompt_id] for task in tasks) == dict.fromkeys(TAGS, 336)


def test_the_quick_protocol_is_a_part_of_the_full_one() -> None:
    suite = ShapesSuite()
    quick, full = tasks_of(suite, full=False), set(tasks_of(suite, full=True))
    assert len(quick) == 168
    assert set(quick) <= full


def test_evaluation_prompts_are_not_trained_on() -> None:
    trained = set(training_prompts())
    shared = {prompt.tag for prompt in ShapesSuite().prompts() if prompt.text in trained}
    assert shared == set(SHARED)


def test_the_judge_accepts_drawn_scenes_and_gives_reasons_otherwise() -> None:
    rng = np.random.default_rng(0)
    caption, other = (
        by_text()["a photo of a red star and a cyan ring"],
        by_text()["a photo of a cyan star and a red ring"],
    )
    image = Image.fromarray(draw(caption.scene(rng), rng))
    right, wrong = (
        ShapesSuite().judge().judge([image, image], [caption.metadata(), other.metadata()])
    )
    assert right.correct
    assert not right.reason
    assert not wrong.correct
    assert "expected cyan star" in wrong.reason


def test_a_judge_that_finds_what_is_drawn_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = ShapesSuite().judge()
    judge.verify()
    monkeypatch.setattr(pieces, "FOREGROUND", 0)
    with pytest.raises(
        UsageError,
        match=(
            r"the shapes detector was shown .* expected a \w+ \w+, and found nothing; its scores"
            r" would"
        ),
    ):
        judge.verify()


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("detector", "THRESHOLD", 0.5),
        ("pieces", "LEAST_SHARE", 0.5),
        ("silhouettes", "SHARP", 1.0),
        ("fitting", "BLURS", (0.0,)),
        ("cuts", "ANGLES", 8),
        ("several", "GAIN", 0.1),
    ],
)
def test_another_constant_is_another_judge(
    module: str, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ShapesSuite().judge().fingerprint
    assert ShapesSuite().judge().fingerprint == before
    monkeypatch.setattr(f"hnbench.shapes.{module}.{name}", value)
    assert ShapesSuite().judge().fingerprint != before


def test_an_object_of_no_palette_colour_is_its_shape_but_not_the_asked_colour() -> None:
    image = draw(Scene((Item("square", "red", 32, 32, 10),)), np.random.default_rng(0))
    image[23:41, 32:41] = PALETTE["blue"]
    shape, colour = by_text()["a photo of a square"], by_text()["a photo of a red square"]
    alone, coloured = (
        ShapesSuite()
        .judge()
        .judge([Image.fromarray(image)] * 2, [shape.metadata(), colour.metadata()])
    )
    assert alone.correct
    assert coloured.reason == "expected red square>=1, found 0 red; and 1 mixed"
