"""What a journal of measures says of which images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hnbench.errors import StoreError
from hnbench.files.journal import sealed
from hnbench.measures.journal import (
    Definition,
    Distance,
    Measurements,
    definition_line,
    distance_line,
    open_journal,
    read_measurements,
    row_line,
)
from tests.mutations import mutated_json, only_one_line, replaced

SPREAD = Definition(
    "spread", "f" * 64, "prompt", "How far apart.", higher_is_better=True, source=""
)
SHARPNESS = Definition(
    "sharpness", "e" * 64, "image", "How sharp.", higher_is_better=True, source="here"
)
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
    rows = [
        json.loads(line)
        for line in (tmp_path / "measures" / "journal.jsonl").read_text().splitlines()
    ]
    assert [row.get("values") for row in rows] == [
        None,
        None,
        {"a": 1.2346, "b": 1.2346e-05},
        {"b": [0.5, 123460.0]},
    ]
    assert rows[2]["fingerprint"] == "f" * 16


def test_a_row_counts_for_its_own_images_only(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        definition_line(SPREAD),
        row_line(SPREAD, "ours", IMAGES, {"a": [1.0], "b": [2.0]}),
        row_line(SPREAD, "ours", {"c": ["9", "10"]}, {"c": [3.0]}),
    )
    assert found.by_prompt(SPREAD, "ours", {**IMAGES, "c": ["9", "10"]}) == {
        "a": (1.0,),
        "b": (2.0,),
        "c": (3.0,),
    }
    for changed in (
        {"a": ["1", "2"], "b": ["3", "x"]},
        {"a": ["2", "1"], "b": ["3", "4"]},
        {"a": ["1", "2"]},
    ):
        assert found.by_prompt(SPREAD, "ours", {**changed, "c": ["9", "10"]}) == {"c": (3.0,)}


def test_the_later_row_wins(tmp_path: Path) -> None:
    rows = [row_line(SPREAD, "ours", IMAGES, {"a": [value]}) for value in (1.0, 2.0)]
    assert written(tmp_path, definition_line(SPREAD), *rows).by_prompt(SPREAD, "ours", IMAGES) == {
        "a": (2.0,)
    }


def test_other_weights_are_another_measure(tmp_path: Path) -> None:
    newer = Definition(
        SPREAD.measure, "a" * 64, "prompt", SPREAD.about, higher_is_better=True, source=""
    )
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
    found = written(
        tmp_path, definition_line(GAP), distance_line(GAP, "ours", IMAGES, BASE, 0.12345678)
    )
    assert found.distance(GAP, "ours", IMAGES, BASE) == Distance(0.12346, 4, 4)
    assert found.distance(GAP, "ours", BASE, IMAGES) is None
    assert found.distance(GAP, "ours", IMAGES, {"a": ["5", "6"], "b": ["7", "9"]}) is None
    assert found.distance(GAP, "theirs", IMAGES, BASE) is None


def test_a_run_without_measures(tmp_path: Path) -> None:
    assert read_measurements(tmp_path) is None


def test_a_row_without_its_definition_counts_for_nothing(tmp_path: Path) -> None:
    found = written(
        tmp_path, row_line(SPREAD, "ours", IMAGES, {"a": [1.0]}), definition_line(SPREAD)
    )
    assert (found.by_prompt(SPREAD, "ours", IMAGES), found.latest()) == ({}, {})


def test_a_row_with_a_value_too_few_or_too_many_does_not_count(tmp_path: Path) -> None:
    rows = [
        row_line(SHARPNESS, "ours", IMAGES, {"a": values}) for values in ([0.5], [0.5, 0.25, 0.125])
    ]
    assert (
        written(tmp_path, definition_line(SHARPNESS), *rows).by_prompt(SHARPNESS, "ours", IMAGES)
        == {}
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": "2"}, "Expected `int`, got `str`"),
        ({"values": {"a": "much"}}, "Expected `float`, got `str`"),
        ({"values": {"a": [1.0]}}, "Expected `float`, got `array`"),
        ({"values": 3}, "Expected `object`, got `int`"),
        ({"label": 3}, r"Expected `str`, got `int` - at `\$.label`"),
        ({"surplus": 1}, "Object contains unknown field `surplus`"),
    ],
)
def test_damage_is_told_by_its_line(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    lines = [definition_line(SPREAD), {**row_line(SPREAD, "ours", IMAGES, {"a": [1.0]}), **change}]
    (tmp_path / "measures").mkdir()
    (tmp_path / "measures" / "journal.jsonl").write_text(
        "".join(f"{json.dumps(line)}\n" for line in lines)
    )
    with pytest.raises(StoreError, match=rf"journal\.jsonl:2 is damaged \({reason}"):
        read_measurements(tmp_path)


LINES = [
    definition_line(SPREAD),
    definition_line(SHARPNESS),
    definition_line(GAP),
    row_line(SPREAD, "ours", IMAGES, {"a": [1.0]}),
    row_line(SHARPNESS, "ours", IMAGES, {"a": [1.0, 2.0]}),
    distance_line(GAP, "ours", IMAGES, BASE, 0.5),
]


def use(folder: Path) -> None:
    """Everything that a report asks of a journal."""
    found = read_measurements(folder)
    for definition in found.latest().values() if found else ():
        assert found
        values = found.by_prompt(definition, "ours", IMAGES) if definition.kind != "set" else {}
        assert all(isinstance(value, float) for one in values.values() for value in one)
        distance = (
            found.distance(definition, "ours", IMAGES, BASE) if definition.kind == "set" else None
        )
        assert distance is None or distance.images + distance.base_images == 8


@pytest.mark.parametrize("place", range(len(LINES)))
def test_any_value_in_any_line_is_read_or_is_one_line(tmp_path: Path, place: int) -> None:
    path = tmp_path / "measures" / "journal.jsonl"
    path.parent.mkdir()
    lines = [json.dumps(line).encode() for line in LINES]
    with only_one_line() as outcomes:
        for what, line in mutated_json(LINES[place]):
            path.write_bytes(b"\n".join([*lines[:place], line, *lines[place + 1 :], b""]))
            outcomes.of(what, lambda: use(tmp_path))
    assert outcomes.refused > outcomes.read > 0


def test_anything_in_the_place_of_a_journal_is_read_or_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "measures" / "journal.jsonl"
    path.parent.mkdir()
    with only_one_line() as outcomes:
        for what, place in replaced(b"".join(sealed(line) for line in LINES)):
            place(path)
            outcomes.of(what, lambda: use(tmp_path))
    assert outcomes.refused > 10
