from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnbench.runs.record import Cost, Failure, Record, SavedImage
from hnbench.suites.base import Verdict

COST = Cost(
    generator_forward=8.0,
    generator_backward=0.0,
    reward_forward=8.0,
    reward_backward=0.0,
    seconds=0.05,
    peak_memory_bytes=123,
    batch_size=16,
)
DONE = Record(
    id="0" * 64,
    status="done",
    prompt_id="two_object/0012",
    prompt="a cat and a dog",
    tag="two_object",
    sample=0,
    base_seed=0,
    label="best-of-8",
    noise_sha256="f" * 64,
    displacement=1.5,
    noise_norm=32.0,
    rewards={"clip": 0.61, "optimised": 0.61},
    initial_rewards={"clip": 0.5, "optimised": 0.5},
    verdict=Verdict(correct=True),
    cost=COST,
    trajectory=(0.5, None, 0.61),
    image=SavedImage(path="images/00/" + "0" * 64 + ".png", sha256="a" * 64),
)
FAILED = replace(
    DONE,
    status="failed",
    displacement=None,
    noise_norm=None,
    rewards={},
    initial_rewards={},
    verdict=None,
    trajectory=None,
    image=None,
    error=Failure(type="NotFinite", message="the reward clip is not finite"),
)


GRADED = replace(DONE, verdict=Verdict(correct=None, reason="half of it", score=0.5))
UNJUDGED = replace(DONE, verdict=None)


@pytest.mark.parametrize("record", [DONE, FAILED, GRADED, UNJUDGED])
def test_json_round_trip(record: Record) -> None:
    assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


def test_what_a_verdict_rests_on_is_recorded_where_there_is_any() -> None:
    assert DONE.to_json()["verdict"] == {"correct": True, "reason": ""}
    detailed = replace(DONE, verdict=Verdict(correct=True, details={"cow": [[0.0, 1.0, 2.0, 3.0, 0.9]]}))
    value = json.loads(json.dumps(detailed.to_json(), allow_nan=False))
    assert value["verdict"]["details"] == {"cow": [[0.0, 1.0, 2.0, 3.0, 0.9]]}
    assert Record.from_json(value) == detailed


def test_the_fields_of_the_format() -> None:
    assert list(DONE.to_json()) == [
        *("schema", "id", "status", "prompt_id", "prompt", "tag", "sample", "base_seed", "label", "noise_sha256", "displacement"),
        *("noise_norm", "rewards", "initial_rewards", "verdict", "cost", "trajectory", "image", "error"),
    ]
    assert DONE.to_json()["verdict"] == {"correct": True, "reason": ""}


@given(st.text(st.characters(categories=["L", "Cs", "Cc", "S"])))
def test_any_prompt_survives(prompt: str) -> None:
    record = replace(DONE, prompt=prompt)
    assert Record.from_json(json.loads(json.dumps(record.to_json()).encode())) == record


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("id",), "../../etc/passwd", "id is"),
        (("id",), "0" * 63 + "G", "id is"),
        (("status",), "maybe", "status is"),
        (("sample",), True, "sample is"),
        (("displacement",), float("nan"), "displacement is"),
        (("rewards",), {"clip": float("inf")}, "rewards is"),
        (("rewards",), {"clip": "high"}, "rewards is"),
        (("cost", "seconds"), "1", r"cost\.seconds is"),
        (("cost", "batch_size"), 1.5, r"cost\.batch_size is"),
        (("cost",), None, "cost is"),
        (("verdict", "correct"), 1, r"verdict\.correct is"),
        (("verdict", "correct"), None, "a verdict says right or wrong, or gives a score"),
        (("verdict", "score"), "high", r"verdict\.score is"),
        (("image",), None, "a done record has an image and, where there is a judge, a verdict"),
        (("error",), {"type": "", "message": ""}, "a failed one has an error"),
        (("trajectory",), [0.1, "x"], "trajectory is"),
        (("surplus",), 1, "missing or unknown fields: surplus"),
        (("cost", "surplus"), 1, "cost has missing or unknown fields: surplus"),
    ],
)
def test_damage_is_named(path: tuple[str, ...], value: Any, message: str) -> None:
    whole = json.loads(json.dumps(DONE.to_json()))
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        Record.from_json(whole)


def test_the_value_of_a_verdict() -> None:
    verdicts = [Verdict(correct=True), Verdict(correct=False), Verdict(correct=None, score=0.25), Verdict(correct=True, score=0.75)]
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0, 0.25, 0.75]


def test_a_grade_must_be_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Verdict(correct=None, score=float("nan"))


def test_a_failed_record_has_no_verdict() -> None:
    value = {**FAILED.to_json(), "verdict": {"correct": True, "reason": ""}}
    with pytest.raises(ValueError, match="a failed one has an error"):
        Record.from_json(value)


def test_a_missing_field_is_named() -> None:
    value = DONE.to_json()
    del value["tag"]
    with pytest.raises(ValueError, match="missing or unknown fields: tag"):
        Record.from_json(value)
    with pytest.raises(ValueError, match="JSON object"):
        Record.from_json([value])
