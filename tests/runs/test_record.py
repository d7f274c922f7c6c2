from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hnbench.files.decoding import MalformedError
from hnbench.runs.record import Cost, Failure, Record, Rewriting, SavedImage, read_record
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


def written(value: Any) -> bytes:
    return json.dumps(value, allow_nan=True).encode()


@pytest.mark.parametrize("record", [DONE, FAILED, GRADED, UNJUDGED])
def test_json_round_trip(record: Record) -> None:
    assert read_record(written(record.to_json())) == record


@pytest.mark.parametrize("schema", [1, 2])
def test_a_record_of_an_earlier_schema_is_read(schema: int) -> None:
    assert not {"written", "flops", "device"} & {*DONE.to_json(), *DONE.to_json()["cost"]}
    assert DONE.to_json()["cost"]["peak_memory_bytes"] == 123
    assert read_record(written({**DONE.to_json(), "schema": schema})) == replace(
        DONE, schema=schema
    )


def test_memory_that_was_not_measured_is_left_out() -> None:
    record = replace(DONE, cost=replace(DONE.cost, peak_memory_bytes=None))
    assert "peak_memory_bytes" not in record.to_json()["cost"]
    assert read_record(written(record.to_json())) == record


def test_time_device_and_operations_are_kept() -> None:
    cost = replace(DONE.cost, flops=1.5e12, device="a GPU")
    record = replace(DONE, cost=cost, written=1700000000.125)
    value = record.to_json()
    assert (value["written"], value["cost"]["flops"], value["cost"]["device"]) == (
        1700000000.125,
        1.5e12,
        "a GPU",
    )
    assert read_record(written(value)) == record


def test_another_prompt_and_its_cost_are_recorded_where_there_are_any() -> None:
    assert not {"chosen_prompt", "rewriter"} & set(DONE.to_json())
    cost = Rewriting(calls=10, seconds=1.5, dropped=3, tokens=900)
    for rewriter in (cost, replace(cost, tokens=None)):
        record = replace(DONE, chosen_prompt="one cat, one dog", rewriter=rewriter)
        value = record.to_json()
        assert value["chosen_prompt"] == "one cat, one dog"
        assert ("tokens" in value["rewriter"]) == (rewriter.tokens is not None)
        assert read_record(written(value)) == record


def test_what_a_verdict_rests_on_is_recorded_where_there_is_any() -> None:
    assert DONE.to_json()["verdict"] == {"correct": True, "reason": ""}
    detailed = replace(
        DONE, verdict=Verdict(correct=True, details={"cow": [[0.0, 1.0, 2.0, 3.0, 0.9]]})
    )
    value = detailed.to_json()
    assert value["verdict"]["details"] == {"cow": [[0.0, 1.0, 2.0, 3.0, 0.9]]}
    assert read_record(written(value)) == detailed


def test_the_fields_of_the_format() -> None:
    assert list(DONE.to_json()) == [
        *(
            "schema",
            "id",
            "status",
            "prompt_id",
            "prompt",
            "tag",
            "sample",
            "base_seed",
            "label",
            "noise_sha256",
            "displacement",
        ),
        *(
            "noise_norm",
            "rewards",
            "initial_rewards",
            "verdict",
            "cost",
            "trajectory",
            "image",
            "error",
        ),
    ]
    assert DONE.to_json()["verdict"] == {"correct": True, "reason": ""}


@given(st.text(st.characters(categories=["L", "Cc", "S"])))
def test_any_prompt_survives(prompt: str) -> None:
    record = replace(DONE, prompt=prompt)
    assert read_record(written(record.to_json())) == record


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("id",), "../../etc/passwd", r"\$\.id"),
        (("id",), "0" * 63 + "G", r"\$\.id"),
        (("id",), "0" * 64 + "\n", r"\$\.id"),
        (("status",), "maybe", "'maybe' - at"),
        (("sample",), True, r"got `bool` - at `\$\.sample`"),
        (("sample",), -3, r">= 0 - at `\$\.sample`"),
        (("displacement",), float("nan"), "JSON is malformed"),
        (("rewards",), {"clip": float("inf")}, "JSON is malformed"),
        (("rewards",), {"clip": 10**400}, "out of range"),
        (("rewards",), {"clip": "high"}, r"\$\.rewards"),
        (("cost", "seconds"), "1", r"\$\.cost\.seconds"),
        (("cost", "reward_forward"), -1, r"\$\.cost\.reward_forward"),
        (("cost", "batch_size"), 1.5, r"\$\.cost\.batch_size"),
        (("cost",), None, r"\$\.cost"),
        (("verdict", "correct"), 1, r"\$\.verdict\.correct"),
        (("verdict", "correct"), None, "a verdict says right or wrong, or gives a score"),
        (("verdict", "score"), "high", r"\$\.verdict\.score"),
        (("verdict", "reason"), "no cow", "a correct verdict has no reason"),
        (("image",), None, "a done record has an image"),
        (("image", "path"), "../../etc/passwd", "image.path is"),
        (("image", "path"), "/dev/zero", "image.path is"),
        (("initial_rewards",), {}, "a done record has an image, rewards and norms"),
        (("error",), {"type": "", "message": ""}, "and no error"),
        (("trajectory",), [0.1, "x"], r"\$\.trajectory"),
        (("prompt",), "\ud800", "."),
        (("surplus",), 1, "unknown field `surplus`"),
        (("\x1b]0;title\x07",), 1, r"unknown field `\\x1b\]0;title\\x07`"),
        (("cost", "surplus"), 1, "unknown field `surplus`"),
        (("schema",), 99, r"by a newer hnbench \(schema 99, this one reads up to 3\)"),
    ],
)
def test_damage_is_named(path: tuple[str, ...], value: Any, message: str) -> None:
    whole = DONE.to_json()
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(MalformedError, match=message) as caught:
        read_record(written(whole))
    assert str(caught.value).isprintable()


def test_the_value_of_a_verdict() -> None:
    verdicts = [
        Verdict(correct=True),
        Verdict(correct=False),
        Verdict(correct=None, score=0.25),
        Verdict(correct=True, score=0.75),
    ]
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0, 0.25, 0.75]


def test_a_grade_must_be_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Verdict(correct=None, score=float("nan"))


def test_a_failed_record_has_no_verdict() -> None:
    value = {**FAILED.to_json(), "verdict": {"correct": True, "reason": ""}}
    with pytest.raises(
        MalformedError,
        match="a failed record has an error, and no image, rewards, norms or verdict",
    ):
        read_record(written(value))


@pytest.mark.parametrize(
    "name", [field.name for field in msgspec.structs.fields(Record) if field.required]
)
def test_a_missing_field_is_named(name: str) -> None:
    value = DONE.to_json()
    del value[name]
    with pytest.raises(MalformedError, match=f"missing required field `{name}`"):
        read_record(written(value))


@pytest.mark.parametrize(
    "name", ["displacement", "noise_norm", "rewards", "initial_rewards", "image"]
)
def test_a_done_record_lacks_nothing(name: str) -> None:
    value = DONE.to_json()
    del value[name]
    with pytest.raises(MalformedError, match="a done record has an image, rewards and norms"):
        read_record(written(value))


def test_another_type_is_refused() -> None:
    with pytest.raises(MalformedError, match="Expected `object`, got `array`"):
        read_record(written([DONE.to_json()]))
