"""The drawn test images of the judge: each has the difficulty that its kind promises, and shows its
caption.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from hnbench.shapes.captions import by_text, holds
from hnbench.shapes.detector import THRESHOLD
from hnbench.shapes.drawing import coverage_of, draw
from hnbench.shapes.world import PALETTE, Item, Scene
from hnbench.shapes_training import calibration, drawn_kinds
from hnbench.shapes_training.drawn_kinds import KINDS, box_of, drawn, is_true, together

ONE = Scene((Item("circle", "red", 32, 32, 11),))


def near(image: np.ndarray, colour: str) -> np.ndarray:
    """The pixels that are closer than 60 to a palette colour."""
    return np.asarray(np.linalg.norm(image.astype(float) - PALETTE[colour], axis=-1) < 60)


@pytest.mark.parametrize("kind", KINDS)
def test_captions_hold_and_other_captions_do_not(kind: str) -> None:
    images = list(drawn(kind, 12, seed=3))
    assert len(images) == 12
    for each in images:
        assert each.caption.tag == each.other.tag
        assert not holds(each.other, each.caption)
    again = list(drawn(kind, 12, seed=3))
    assert all(
        np.array_equal(first.image, second.image)
        for first, second in zip(images, again, strict=True)
    )


def test_a_cut_removes_its_share() -> None:
    rng = np.random.default_rng(0)
    whole = near(draw(ONE, rng), "red").sum()
    left = [near(drawn_kinds.cut(ONE, rng), "red").sum() / whole for _ in range(20)]
    assert np.mean(left) == pytest.approx(1 - drawn_kinds.CUT, abs=0.02)


def test_a_second_colour_covers_its_share() -> None:
    rng = np.random.default_rng(0)
    whole = near(draw(ONE, rng), "red").sum()
    left = [
        near(drawn_kinds.two_coloured_by(ONE, rng, 0.3), "red").sum() / whole for _ in range(20)
    ]
    # A second colour that resembles red counts as red here, so the median is compared.
    assert np.median(left) == pytest.approx(0.7, abs=0.03)


def test_objects_are_moved_until_they_touch_or_overlap() -> None:
    scene = Scene((Item("square", "red", 14, 30, 8), Item("circle", "blue", 45, 34, 9)))
    beside = together(scene)
    over = together(scene, 0.2)
    assert beside is not None
    assert over is not None
    for moved, deep in ((beside, 0.0), (over, 0.2)):
        assert {item.colour for item in moved.items} == {"red"}
        first, second = (coverage_of(item) > 0.5 for item in moved.items)
        assert ndimage.label(first | second, np.ones((3, 3)))[1] == 1
        shared = (first & second).sum() / min(first.sum(), second.sum())
        assert shared == pytest.approx(deep, abs=0.05)
    third = Item("star", "red", 31, 32, 8)
    assert together(Scene((*scene.items, third))) is None


def test_a_stretched_object_is_longer_along_one_axis() -> None:
    ratios = set()
    for seed in range(12):
        image = drawn_kinds.stretched(ONE, np.random.default_rng(seed))
        mask = near(image, "red")
        height, width = (int(mask.any(axis).sum()) for axis in (1, 0))
        ratios.add(height > width)
        assert max(height, width) / min(height, width) == pytest.approx(1.25, abs=0.08)
    assert ratios == {True, False}


def test_a_scene_against_the_rules_is_not_true() -> None:
    caption = by_text()["a photo of a star left of a ring"]
    star, ring = Item("star", "red", 15, 30, 8), Item("ring", "blue", 48, 30, 8)
    assert is_true(caption, Scene((star, ring)))
    assert not is_true(
        caption, Scene((Item("star", "red", 48, 30, 8), Item("ring", "blue", 15, 30, 8)))
    )
    assert not is_true(caption, Scene((star,)))


def test_a_box_is_around_what_is_drawn() -> None:
    assert box_of(Item("square", "red", 32, 30, 10)) == (23, 21, 41, 39)


def test_the_calibration_prints_its_rule_and_what_it_gives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "KINDS", ("clean", "small"))
    monkeypatch.setattr(calibration, "GOALS", {"clean": 1.0, "small": 1.0})
    calibration.main(number=6)
    printed = json.loads(capsys.readouterr().out)
    assert printed["in use"] == THRESHOLD
    reached = [
        float(threshold)
        for threshold in printed["right"]["clean"]
        if printed["right"]["clean"][threshold] == printed["right"]["small"][threshold] == 1
    ]
    assert printed["chosen"] == max(reached)
    monkeypatch.setattr(calibration, "GOALS", {"small": 1.1})
    calibration.main(number=6)
    assert json.loads(capsys.readouterr().out)["chosen"] is None
