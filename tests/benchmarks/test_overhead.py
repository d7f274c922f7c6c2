from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.overhead import Bench, Call, measure, propose_seconds
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.random import Random
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator
from tests.runs.world import CONFIG, SlowGenerator, WorldSuite


def bench(generator: ToyGenerator) -> Bench:
    rewards = [(BrightnessReward(), 1.0), (RedReward(), 0.0)]
    return Bench(CONFIG, WorldSuite(per_tag=2), generator, rewards, [Random(), BestOfN(n=2)])


def test_every_pass_but_the_warm_up_is_recorded(tmp_path: Path) -> None:
    """8 tasks in batches of 4: per batch, one pass of random and two of best-of-2, and each saved
    image scored once by both rewards.
    """
    measured: list[Call] = [("measure", "brightness", 4), ("measure", "red", 4)]
    random: list[Call] = [("propose", "generate", 4), *measured]
    best: list[Call] = [*[("propose", "generate", 4), ("propose", "brightness", 4)] * 2, *measured]
    assert bench(ToyGenerator()).record(tmp_path) == [*random, *random, *best, *best]


def test_a_replay_makes_the_same_passes_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []

    def note(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def noted(self: Any, first: Tensor, *rest: Any) -> Any:
            made.append((self.name, len(first)))
            return original(self, first, *rest)

        monkeypatch.setattr(kind, name, noted)

    note(ToyGenerator, "generate")
    note(BrightnessReward, "score")
    note(RedReward, "score")
    calls: list[Call] = [
        ("propose", "generate", 3),
        ("measure", "red", 2),
        ("propose", "brightness", 3),
    ]
    seconds = bench(ToyGenerator()).replay(calls)
    assert made == [
        ("toy", 3),
        ("brightness", 3),
        ("red", 3),
        ("toy", 3),
        ("red", 2),
        ("brightness", 3),
    ]  # after one pass of each
    assert seconds["propose"] > seconds["measure"] > 0


def test_time_in_the_models_is_not_the_harnesss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = bench(SlowGenerator(0.05))
    result = measure(one, repeats=1)
    assert result["images_through_the_generator"] == 8 + 16
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "recorded 18 passes",
        "repeat 1 of 1",
    ]
    # Both sides sleep 0.3 s in the generator; the limits are wide because tests run on busy
    # machines.
    assert 0.4 < result["propose_over_bare"]["median"] < 2.5
    assert 0.5 < result["run_over_bare"]["median"] < 10
    assert 0 < result["judge_share"]["median"] < 0.5
    one.run(tmp_path)
    assert (
        propose_seconds(tmp_path, one.methods) > 6 * 0.05
    )  # 2 batches of random, 2 x 2 of best-of-2
    assert torch.is_grad_enabled()
