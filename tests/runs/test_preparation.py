from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hnbench.errors import PluginError, UsageError
from hnbench.generators.base import Generator
from hnbench.hypernetwork.seen import prompt_hashes
from hnbench.methods.training import Training
from hnbench.runs.store import read_run
from hnbench.testing.toys import RedReward
from tests.runs.world import Base, Best, Climb, run

REASON = "the generator has no second step"


@dataclass
class Trained(Climb):
    """Notes what it is prepared with."""

    training: Any = None
    reason: Any = None

    def __post_init__(self) -> None:
        self.asked: list[tuple[str, Generator]] = []

    def skip(self, generator: Generator) -> str | None:
        self.asked.append(("skip", generator))
        answer: str | None = self.reason
        return answer

    def prepare(self, generator: Generator) -> Training | None:
        self.asked.append(("prepare", generator))
        answer: Training | None = self.training
        return answer

    def propose(self, *given: Any) -> Any:
        self.asked.append(("propose", given[1]))
        return super().propose(*given)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def test_a_method_is_prepared_once_before_its_first_batch(tmp_path: Path) -> None:
    method = Trained()
    run(tmp_path, [Base(), method])
    names = [name for name, _ in method.asked]
    assert names[:2] == ["skip", "prepare"]
    assert set(names[2:]) == {"propose"}
    assert len(names) > 3
    assert manifest(tmp_path)["training"] == manifest(tmp_path)["skipped"] == {}


def test_what_its_training_took_is_in_run_json_under_its_kind_or_name(tmp_path: Path) -> None:
    seen = prompt_hashes(["A dark thing, number 1."])
    training = Training(generator_forward=12, seconds=2.5, device="a device", seen=seen)
    run(tmp_path / "name", [Base(), Trained(training=training)])
    expected = {
        "generator_forward": 12,
        "seconds": 2.5,
        "device": "a device",
        "seen_prompts": ["dark/0001"],
    }
    assert manifest(tmp_path / "name")["training"] == {"climb": expected}
    assert read_run(tmp_path / "name").manifest["training"] == {"climb": expected}
    run(tmp_path / "kind", [Base(), Trained(training=Training(kind="shared", steps=3))])
    assert manifest(tmp_path / "kind")["training"] == {"shared": {"steps": 3, "seen_prompts": None}}


def test_a_skipped_method_leaves_its_reason_and_no_records(tmp_path: Path) -> None:
    method = Trained(reason=f" {REASON}\x1b \n")
    tally = run(tmp_path, [Base(), Best(), method])
    assert (tally.failed, tally.expected) == (0, 12 * 3)
    assert [name for name, _ in method.asked] == ["skip"]
    found = manifest(tmp_path)
    assert found["skipped"] == {"climb": f"{REASON}\\x1b"}
    assert found["plan"]["labels"] == ["random", "best-of-2", "best-of-4"]
    assert [method["name"] for method in found["plan"]["methods"]] == ["random", "best-of-n"]
    assert {record.label for record in read_run(tmp_path).records} == {*found["plan"]["labels"]}


def test_where_all_methods_are_skipped_the_base_runs(tmp_path: Path) -> None:
    assert run(tmp_path, [Base(), Trained(reason=REASON)]).done == 12
    assert manifest(tmp_path)["plan"]["labels"] == ["random"]


def test_the_base_is_not_asked(tmp_path: Path) -> None:
    class Reluctant(Base):
        def skip(self, generator: Generator) -> str | None:
            raise AssertionError("the base was asked")

    assert run(tmp_path, [Reluctant()]).done == 12
    assert manifest(tmp_path)["skipped"] == {}


def test_the_records_of_a_method_that_is_skipped_later_stay_and_are_counted(
    tmp_path: Path,
) -> None:
    run(tmp_path, [Base(), Trained()])
    before = read_run(tmp_path).records
    assert run(tmp_path, [Base(), Trained(reason=REASON)]).new == 0
    assert manifest(tmp_path)["skipped"] == {
        "climb": f"{REASON} (12 images of earlier commands stay in the folder)"
    }
    assert read_run(tmp_path).records == before
    assert run(tmp_path, [Base(), Trained()]).new == 0
    assert manifest(tmp_path)["skipped"] == {}
    assert manifest(tmp_path)["plan"]["labels"] == ["random", "climb"]


@pytest.mark.parametrize("reason", ["", " \n", 3, True, False])
def test_a_reason_is_text(tmp_path: Path, reason: object) -> None:
    with pytest.raises(PluginError, match=r"the method climb gave .* as the reason to be skipped"):
        run(tmp_path, [Base(), Trained(reason=reason)])
    assert not (tmp_path / "run.json").exists()


def test_a_training_is_a_training(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"the method climb gave .* when it was prepared"):
        run(tmp_path, [Base(), Trained(training={"seconds": 3})])
    assert not (tmp_path / "run.json").exists()


def test_what_does_not_fit_the_generator_is_refused_before_any_work(tmp_path: Path) -> None:
    class Wrong(Climb):
        def prepare(self, generator: Generator) -> Training | None:
            raise UsageError(f"trained for another generator than {generator.name}")

    class Unasked(RedReward):
        def score(self, *_: object) -> Any:
            raise AssertionError("work began")

    with pytest.raises(UsageError, match="trained for another generator than toy"):
        run(tmp_path, [Base(), Wrong()], held_out=Unasked())
    assert not (tmp_path / "run.json").exists()
