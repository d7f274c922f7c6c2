from __future__ import annotations

import pytest
import torch

from hnbench.hypernetwork.objective import NoiseObjective

SHAPE = (2, 3, 4)


def test_the_sum_is_the_papers_equation_and_the_mean_its_code() -> None:
    change, reward = torch.full((2, *SHAPE), 0.5), torch.tensor([1.0, -2.0])
    # 24 entries of 0.5: 1/2 ||f||^2 = 3.
    assert NoiseObjective("sum", 0.5, SHAPE)(change, reward).tolist() == [0.5, 3.5]
    assert NoiseObjective("mean", 0.5, SHAPE)(change, reward).tolist() == [0.0625 - 1, 0.0625 + 2]


def test_losses_of_a_batch_do_not_mix() -> None:
    change, reward = torch.randn(5, *SHAPE), torch.randn(5)
    objective = NoiseObjective("mean", 2.0, SHAPE)
    together = objective(change, reward)
    assert torch.equal(
        together, torch.cat([objective(change[i : i + 1], reward[i : i + 1]) for i in range(5)])
    )


def test_equal_temperatures_are_equal_objectives() -> None:
    change, reward = (
        torch.randn(5, *SHAPE, dtype=torch.float64),
        torch.randn(5, dtype=torch.float64),
    )
    mean, total = NoiseObjective("mean", 3.0, SHAPE), NoiseObjective("sum", 3.0 / 24, SHAPE)
    assert mean.temperature == pytest.approx(total.temperature) == pytest.approx(0.125)
    torch.testing.assert_close(mean(change, reward), total(change, reward))
    # ... and they are alpha times the paper's Eq. 11 at that temperature.
    alpha = mean.temperature
    torch.testing.assert_close(
        mean(change, reward), alpha * (0.5 * change.flatten(1).square().sum(1) - reward / alpha)
    )


def test_the_official_code_has_temperature_one_over_d() -> None:
    assert NoiseObjective("mean", 1.0, (4, 64, 64)).temperature == 1 / 16384
