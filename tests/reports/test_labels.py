from __future__ import annotations

from hnbench.reports.labels import best_of_labels, candidates_of, featured, style_of
from tests.reports.synthetic import LABELS


def test_candidates() -> None:
    assert candidates_of("best-of-16") == 16
    assert candidates_of("best-of-n") is None
    assert candidates_of("reno") is None


def test_best_of_labels_ascend_from_the_base() -> None:
    assert best_of_labels(["best-of-8", "reno", "random", "best-of-2"]) == {
        1: "random",
        2: "best-of-2",
        8: "best-of-8",
    }


def test_featured_keeps_the_smallest_and_the_largest_search() -> None:
    shown = featured(LABELS)
    assert [label for label in shown if candidates_of(label)] == ["best-of-2", "best-of-50"]
    assert "random" not in shown
    assert featured(["random", "reno", "mine"]) == ["reno", "mine"]


def test_every_method_has_a_colour_and_a_marker_of_its_own() -> None:
    methods = [label for label in LABELS if not label.startswith("best-of-")] + [
        "best-of-2",
        "of-another-package",
    ]
    assert len({style_of(label).colour for label in methods}) == len(methods)
    assert len({style_of(label).marker for label in methods}) == len(methods)
    assert style_of("best-of-2").colour == style_of("best-of-50").colour
