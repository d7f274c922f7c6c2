from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from hnbench.errors import UsageError
from hnbench.shapes import detector
from hnbench.shapes.captions import SHARED, TAGS, by_text, training_prompts
from hnbench.shapes.drawing import draw
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
    monkeypatch.setattr(detector, "FOREGROUND", 0)
    with pytest.raises(
        UsageError,
        match=(
            r"the shapes detector was shown .* expected a \w+ \w+, and found nothing; its scores"
            r" would"
        ),
    ):
        judge.verify()


def test_a_moved_threshold_is_another_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ShapesSuite().judge().fingerprint
    monkeypatch.setattr(detector, "THRESHOLD", 0.5)
    assert ShapesSuite().judge().fingerprint != before
