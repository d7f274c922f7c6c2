"""A regression against what is known of its solution: least squares for an affine network, and the
fixed point of gradient ascent for a linear generator with a quadratic reward.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.linear_gaussian import (
    DIMENSION,
    AffineGenerator,
    QuadraticReward,
    Truth,
    affine_map,
    truth_of,
)
from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.pairs import NoiseSearch
from hnbench.hypernetwork.regression import regression_loss
from hnbench.hypernetwork.trainer import Trainer
from hnbench.methods.base import Outcome
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.seeds import NoiseSource, seed_of
from hnbench.tasks import Task

PAIRS = 40
IDENTITY = torch.eye(DIMENSION, dtype=torch.float64)


def trained(search: NoiseSearch, truth: Truth, folder: Path, **changes: Any) -> Trainer:
    """A regression whose every step has all pairs, to its end."""
    settings: dict[str, Any] = {
        "kind": "regression",
        "generator": "affine",
        "rewards": {"quadratic": 1.0},
        "prompts": "none",
        "steps": 600,
        "batch_size": PAIRS,
        "optimizer": "adamw",
        "learning_rate": 0.05,
        "schedule": "cosine",
        "gradient_clip": 1e6,  # so high that nothing is clipped
        "rank": 8,
        "lora_alpha": 8,
        "eval_every": 600,
        "save_every": 600,
        "pairs": PAIRS,
        "reno_iterations": 2,
        "reno_learning_rate": 1.0,
    }
    config = TrainingConfig(**(settings | changes))
    reward = Mixture({"quadratic": (QuadraticReward(truth.curvature, truth.target), 1.0)})
    trainer = Trainer(config, AffineGenerator(), reward, [""], folder, search=search)
    trainer.train()
    return trainer


def learnt(folder: Path) -> tuple[Tensor, Tensor]:
    """Slope and shift of the trained T(x) = x + f(x)."""
    generator = AffineGenerator()
    return affine_map(Hypernetwork(generator, attach(generator, folder / "adapter", "regression")))


def starting_noises(seed: int = 0) -> Tensor:
    """The noises of the pairs, `[PAIRS, DIMENSION]`: one prompt, so the samples count up."""
    source = NoiseSource(seed_of("pairs", seed), (DIMENSION,))
    return source.batch([Task("", "", sample) for sample in range(PAIRS)]).double()


def least_squares(noise: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and shift of the affine map that is nearest to the pairs."""
    features = torch.cat([noise, noise.new_ones(len(noise), 1)], dim=1)
    solution: Tensor = torch.linalg.lstsq(features, found).solution
    return solution[:-1].T, solution[-1]


def test_the_loss_is_the_mean_over_the_entries_of_each_sample() -> None:
    change = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target = torch.tensor([[[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 2.0]]])
    assert regression_loss(change, target).tolist() == [(1 + 4 + 1) / 4, 4 / 4]


def test_it_learns_the_fixed_point_of_gradient_ascent(tmp_path: Path) -> None:
    """Ascent of a quadratic reward ends, from any noise, at the one noise whose image is nearest to
    the target: x = A^+ (m - b). So the trained map is constant, with that value.
    """
    truth = truth_of(AffineGenerator(), 1.0)
    rate = 1.9 / float(torch.linalg.eigvalsh(truth.matrix.T @ truth.matrix)[-1])
    ascent = ReNO(
        iterations=2000,
        learning_rate=rate,
        momentum=0.0,
        nesterov=False,
        gradient_clip=1e6,
        regulariser="none",
    )
    trained(ascent, truth, tmp_path)
    slope, shift = learnt(tmp_path)
    fixed = torch.linalg.pinv(truth.matrix) @ (truth.target - truth.offset)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=2e-3)
    torch.testing.assert_close(shift, fixed, rtol=0, atol=2e-3)
    assert fixed.abs().max() > 0.5


def test_it_reaches_the_least_squares_solution_for_renos_own_pairs(tmp_path: Path) -> None:
    """ReNO as published clips gradients and keeps the best iterate, so what it finds is no affine
    function of the noise, and the network misses some of it: what the nearest affine map misses.
    """
    truth = truth_of(AffineGenerator(), 1.0)
    trainer = trained(ReNO(iterations=12, learning_rate=5.0), truth, tmp_path)
    assert trainer.pairs is not None
    noise, found = starting_noises(), trainer.pairs.found
    slope, shift = least_squares(noise, found)
    missed = (noise @ slope.T + shift - found).square().mean()
    torch.testing.assert_close(learnt(tmp_path), (slope, shift), rtol=0, atol=2e-3)
    last = json.loads((tmp_path / "train.jsonl").read_text().splitlines()[-1])
    assert last["loss"] == pytest.approx(float(missed), rel=1e-3)
    assert missed > 1e-3
    assert (slope - IDENTITY).abs().max() > 0.05


@dataclass(frozen=True)
class Coin:
    """Adds one of two changes to a noise, which one is not visible in it."""

    changes: Tensor

    def propose(
        self,
        tasks: Sequence[Task],
        generator: Generator,
        reward: Reward,
        noises: NoiseSource,
    ) -> Iterator[Outcome]:
        for task in tasks:
            noise = noises.draw(task).to(generator.dtype)
            found = noise + self.changes[task.sample % 2]
            yield Outcome(task, "coin", torch.zeros(3, 2, 2), found, trajectory=(0.0, 1.0))


def test_what_the_noise_does_not_tell_is_averaged(tmp_path: Path) -> None:
    """The minimiser is the conditional mean: here the mean of both changes, wherever the noise is,
    but for what 40 noises happen to tell of their numbers, which least squares knows.
    """
    changes = torch.stack([torch.full((DIMENSION,), 1.0), torch.full((DIMENSION,), -3.0)]).double()
    trained(Coin(changes), truth_of(AffineGenerator(), 1.0), tmp_path)
    slope, shift = learnt(tmp_path)
    noise = starting_noises()
    wanted = least_squares(noise, noise + changes.repeat(PAIRS // 2, 1))
    torch.testing.assert_close((slope, shift), wanted, rtol=0, atol=2e-3)
    mean = (noise @ slope.T + shift - noise).mean(0)
    torch.testing.assert_close(mean, torch.full_like(mean, -1.0), rtol=0, atol=2e-3)
