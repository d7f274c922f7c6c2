from __future__ import annotations

from hnbench.reports.labels import (
    best_of_labels,
    candidates_of,
    compared_with,
    featured,
    first_of,
    method_of,
    row_labels,
    rows_of,
    style_of,
)
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


ADAPTERS = ["1" * 64, "2" * 64]
ROWS = row_labels(
    {
        "random": {"name": "random"},
        "reno": {"name": "reno", "iterations": 50},
        "reno:iterations=20": {"name": "reno", "iterations": 20},
        "quick": {"name": "reno", "iterations": 5},
        "hypernoise": {"name": "hypernoise", "adapter": ADAPTERS[0]},
        "hypernoise:adapter=mine": {"name": "hypernoise", "adapter": ADAPTERS[1]},
        "hypernoise-other-noise": {"name": "hypernoise-other-noise", "adapter": ADAPTERS[0]},
        "other": {"name": "hypernoise-other-noise", "adapter": ADAPTERS[1]},
        "best-of-2": {"name": "best-of-n", "n": 50},
    }
)


def test_a_role_follows_the_method() -> None:
    assert rows_of(ROWS, "reno") == ["reno", "reno:iterations=20", "quick"]
    assert first_of(ROWS, "hypernoise") == "hypernoise"
    assert first_of(ROWS, "finetune") is None
    assert [method_of(label) for label in ("quick", "reno:iterations=20")] == ["quick", "reno"]


def test_names_say_what_differs() -> None:
    names = [style_of(label).name for label in ROWS]
    assert names[1:6] == [
        "ReNO (iterations=50)",
        "ReNO (iterations=20)",
        "quick",
        "HyperNoise (adapter=11111111)",
        "HyperNoise (adapter=mine)",
    ]
    assert len({*names}) == len(names)
    (alone,) = row_labels({"reno": {"name": "reno", "iterations": 20}})
    assert style_of(alone) == style_of("reno")
    assert style_of(alone).name == "ReNO"


def test_settings_have_other_shades_and_markers() -> None:
    styles = [style_of(label) for label in rows_of(ROWS, "reno")]
    assert (styles[0].colour, styles[0].marker) == ("#D55E00", "D")
    assert len({style.colour for style in styles}) == len({style.marker for style in styles}) == 3


def test_each_hypernetwork_is_compared_with_its_own_controls() -> None:
    first, second = rows_of(ROWS, "hypernoise")
    assert compared_with(first, ROWS) == ["best-of-2", "hypernoise-other-noise", second]
    assert compared_with(second, ROWS) == ["best-of-2", "other", first]
