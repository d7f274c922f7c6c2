"""What a journal of measures says of which images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hnbench.errors import StoreError
from hnbench.measures.journal import (
    Definition,
    Distance,
    Measurements,
    definition_line,
    distance_line,
    open_journal,
    read_measurements,
    row_line,
    with_equal_numbers,
)

SPREAD = Definition("spread", "f" * 64, "prompt", "How far apart.", higher_is_better=True, source="")
SHARPNESS = Definition("sharpness", "e" * 64, "image", "How sharp.", higher_is_better=True, source="here")
GAP = Definition("gap", "d" * 64, "set", "How far off.", higher_is_better=None, source="")
IMAGES = {"a": ["1", "2"], "b": ["3", "4"]}
BASE = {"a": ["5", "6"], "b": ["7", "8"]}


def written(folder: Path, *lines: dict[str, Any]) -> Measurements:
    with open_journal(folder / "measures") as journal:
        journal.add(lines)
    found = read_measurements(folder)
    assert found is not None
    return found


def test_values_have_five_digits_and_their_form_is_that_of_the_measure(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        definition_line(SPREAD),
        definition_line(SHARPNESS),
        row_line(SPREAD, "ours", IMAGES, {"a": [1.2345678], "b": [0.0000123456]}),
        row_line(SHARPNESS, "ours", IMAGES, {"b": [0.5, 123456.0]}),
    )
    assert found.by_prompt(SPREAD, "ours", IMAGES) == {"a": (1.2346,), "b": (1.2346e-05,)}
    assert found.by_prompt(SHARPNESS, "ours", IMAGES) == {"b": (0.5, 123460.0)}
    assert found.by_prompt(SPREAD, "other", IMAGES) == {}
    assert list(found.latest().values()) == [SPREAD, SHARPNESS]
    rows = [json.loads(line) for line in (tmp_path / "measures" / "journal.jsonl").read_text().splitlines()]
    assert [row.get("values") for row in rows] == [None, None, {"a": 1.2346, "b": 1.2346e-05}, {"b": [0.5, 123460.0]}]
    assert rows[2]["fingerprint"] == "f" * 16


def test_a_row_counts_for_its_own_images_only(tmp_path: Path) -> None:
    found = written(
        tmp_path, row_line(SPREAD, "ours", IMAGES, {"a": [1.0], "b": [2.0]}), row_line(SPREAD, "ours", {"c": ["9", "10"]}, {"c": [3.0]})
    )
    assert found.by_prompt(SPREAD, "ours", {**IMAGES, "c": ["9", "10"]}) == {"a": (1.0,), "b": (2.0,), "c": (3.0,)}
    for changed in ({"a": ["1", "2"], "b": ["3", "x"]}, {"a": ["2", "1"], "b": ["3", "4"]}, {"a": ["1", "2"]}):
        assert found.by_prompt(SPREAD, "ours", {**changed, "c": ["9", "10"]}) == {"c": (3.0,)}


def test_the_later_row_wins(tmp_path: Path) -> None:
    rows = [row_line(SPREAD, "ours", IMAGES, {"a": [value]}) for value in (1.0, 2.0)]
    assert written(tmp_path, *rows).by_prompt(SPREAD, "ours", IMAGES) == {"a": (2.0,)}


def test_other_weights_are_another_measure(tmp_path: Path) -> None:
    newer = Definition(SPREAD.measure, "a" * 64, "prompt", SPREAD.about, higher_is_better=True, source="")
    found = written(
        tmp_path,
        definition_line(SPREAD),
        row_line(SPREAD, "ours", IMAGES, {"a": [1.0]}),
        definition_line(newer),
        row_line(newer, "ours", IMAGES, {"b": [2.0]}),
    )
    assert found.by_prompt(SPREAD, "ours", IMAGES) == {"a": (1.0,)}
    assert found.by_prompt(newer, "ours", IMAGES) == {"b": (2.0,)}
    assert found.latest() == {"spread": newer}


def test_a_distance_is_of_two_sets(tmp_path: Path) -> None:
    found = written(tmp_path, definition_line(GAP), distance_line(GAP, "ours", IMAGES, BASE, 0.12345678))
    assert found.distance(GAP, "ours", IMAGES, BASE) == Distance(0.12346, 4, 4)
    assert found.distance(GAP, "ours", BASE, IMAGES) is None
    assert found.distance(GAP, "ours", IMAGES, {"a": ["5", "6"], "b": ["7", "9"]}) is None
    assert found.distance(GAP, "theirs", IMAGES, BASE) is None


def test_a_run_without_measures(tmp_path: Path) -> None:
    assert read_measurements(tmp_path) is None


@pytest.mark.parametrize("change", [{"schema": 2}, {"values": {"a": "much"}}, {"values": {"a": [1.0, None]}}, {"surplus": 1}])
def test_damage_is_told_by_its_line(tmp_path: Path, change: dict[str, Any]) -> None:
    line = row_line(SPREAD, "ours", IMAGES, {"a": [1.0]})
    (tmp_path / "measures").mkdir()
    (tmp_path / "measures" / "journal.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps({**line, **change})}\n")
    with pytest.raises(StoreError, match=r"journal\.jsonl:2 is damaged"):
        read_measurements(tmp_path)


def test_prompts_with_fewer_images_than_the_base_are_not_compared() -> None:
    images = {"random": BASE, "ours": {"a": ["1"], "b": ["3", "4"]}}
    values = {"random": {"a": (1.0,), "b": (2.0,)}, "ours": {"a": (3.0,), "b": (4.0,)}}
    assert with_equal_numbers(values, images, "random") == {"random": values["random"], "ours": {"b": (4.0,)}}
    assert with_equal_numbers(values, images, None) == values
