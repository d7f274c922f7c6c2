"""The published loops compute what hnbench computes, and the comparison notices if they do not."""

from __future__ import annotations

import pytest
import torch

from benchmarks import best_of_n, geneval_scoring, hypernoise, reno, training
from benchmarks.published.comparison import compare
from hnbench.suites.base import Verdict

CPU = torch.device("cpu")


def test_reno_has_the_rewards_of_the_published_loop() -> None:
    found = reno.measure("cpu", batch_size=2, iterations=3, repeats=1)
    assert found["apart"].keys() == {"published", "text kept"}
    assert max(found["apart"].values()) < 1e-4
    assert all(rate > 0 for rate in found["samples_per_second"].values())


def test_best_of_n_has_the_rewards_of_the_published_loop() -> None:
    found = best_of_n.measure("cpu", candidates=3, images_at_once=2, repeats=1)
    assert max(found["apart"].values()) < 1e-5
    assert found["over"]["published"]["median"] > 0


def test_training_has_the_losses_of_the_published_step() -> None:
    found = training.measure("cpu", batch_size=2, accumulation=2, steps=1, repeats=1)
    assert max(found["apart"].values()) < 1e-5
    assert found["over"]["text kept"]["median"] > 0


def test_the_judge_has_the_verdicts_of_the_published_scoring() -> None:
    found = geneval_scoring.measure("cpu", "tiny", images=2, repeats=1)
    assert found["same_verdicts"] == 2
    assert found["detections"] > 0
    assert found["over_published"]["median"] > 0


def test_hypernoise_changes_the_noise_that_random_keeps() -> None:
    found = hypernoise.measure("cpu", batch_size=2, batches=1, repeats=1)
    assert found["displacement"] > 0.1
    assert found["over_random"]["median"] > 0


def test_a_difference_of_the_rewards_is_shown() -> None:
    def ours() -> list[list[float]]:
        return [[2.0, 4.0, 8.0], [1.0, 1.0, 1.0]]

    def other() -> list[list[float]]:
        return [[2.0, 5.0, 80.0], [1.0, 1.0, 1.0]]

    for first, apart in ((None, 9.0), (2, 0.25), (1, 0.0)):
        found = compare(
            ours, {"x": other}, samples=2, repeats=1, title="x", device=CPU, first=first
        )
        assert found["apart"] == {"x": apart}


@pytest.mark.parametrize("rewards", [[[1.0, 2.0]], [[1.0, 2.0], [1.0]]])
def test_another_number_of_samples_or_rewards_is_refused(rewards: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="zip"):
        compare(
            lambda: [[1.0, 2.0], [1.0, 2.0]],
            {"x": lambda: rewards},
            samples=2,
            repeats=1,
            title="x",
            device=CPU,
        )


def test_verdicts_with_other_detections_are_not_the_same() -> None:
    def verdict(score: float, left: float = 3.0, name: str = "cow") -> Verdict:
        return Verdict(correct=True, details={name: [[left, 4.0, 9.0, 9.0, score]]})

    assert geneval_scoring.same(verdict(0.5), verdict(0.5004, left=3.5))
    for other in (verdict(0.51), verdict(0.5, left=5.0), verdict(0.5, name="cat")):
        assert not geneval_scoring.same(verdict(0.5), other)
    assert not geneval_scoring.same(verdict(0.5), Verdict(correct=False, reason="no cow"))
