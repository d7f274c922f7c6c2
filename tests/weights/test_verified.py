"""What a run says of its models: whether `hnbench verify` found them to give the published
numbers.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from hnbench.reports.summary import summarise_runs
from hnbench.reports.write import write_report
from hnbench.runs.store import read_run
from hnbench.testing.toys import RedReward, ToyGenerator
from hnbench.weights.verified import Verification, remember, remembered, status_of
from tests.runs.world import run

pytestmark = pytest.mark.usefixtures("few_plots")

FOUND = Verification(
    check="toy-stock-pipeline",
    equal=True,
    difference=0.25,
    date="2026-11-26",
    seconds=1.5,
    device="a processor",
    dtype="float32",
    fingerprints={"toy": ToyGenerator().fingerprint},
    versions={"torch": "2"},
)


def test_a_model_that_was_verified_is_said_to_be_and_another_one_not(tmp_path: Path) -> None:
    remember([FOUND, replace(FOUND, check="other", fingerprints={"other": "f" * 64})])
    run(tmp_path / "run")
    verified = read_run(tmp_path / "run").manifest["verified"]
    expected = {
        "check": "toy-stock-pipeline",
        "equal": True,
        "difference": 0.25,
        "date": "2026-11-26",
        "device": "a processor",
    }
    assert verified["generator toy"] == [{**expected, "dtype": "float32"}]
    assert verified["reward brightness"] == verified[f"reward {RedReward.name}"] == []
    text = write_report(summarise_runs([tmp_path / "run"]), tmp_path / "report").read_text()
    assert (
        "| verified: generator toy | toy-stock-pipeline equal (2026-11-26, a processor, float32, at"
        " 25% of its tolerance) |" in text
    )
    assert (
        "| verified: reward brightness | not on this machine (`hnbench verify --list` says how) |"
        in text
    )


def test_it_is_no_part_of_what_a_run_is(tmp_path: Path) -> None:
    run(tmp_path / "before")
    remember([FOUND])
    run(tmp_path / "after")
    before, after = (read_run(tmp_path / name) for name in ("before", "after"))
    assert before.manifest["identity"] == after.manifest["identity"]
    assert [record.id for record in before.records] == [record.id for record in after.records]
    assert run(tmp_path / "before").new == 0, "the run goes on"


def test_the_latest_outcome_of_a_check_counts() -> None:
    remember([FOUND, replace(FOUND, equal=False, difference=7.0), replace(FOUND, dtype="bfloat16")])
    found = status_of(ToyGenerator().fingerprint, remembered())
    assert [(one["dtype"], one["equal"]) for one in found] == [
        ("float32", False),
        ("bfloat16", True),
    ]


def test_a_run_of_before_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnbench.runs.execute.models_of", lambda *_: {})
    run(tmp_path / "run")
    assert (
        "verified:"
        not in write_report(summarise_runs([tmp_path / "run"]), tmp_path / "report").read_text()
    )
