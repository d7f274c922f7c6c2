"""Training and divergence against a case that is known in closed form (docs/theory.md)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor

from benchmarks.linear_gaussian import (
    DIMENSION,
    AffineGenerator,
    QuadraticReward,
    Truth,
    affine_map,
    gaussian_divergence,
    train,
    truth_of,
)
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.divergence import exact_divergence, lipschitz_constants

IDENTITY = torch.eye(DIMENSION, dtype=torch.float64)
ZERO = torch.zeros(DIMENSION, dtype=torch.float64)


@cache
def trained(temperature: float) -> tuple[Truth, Hypernetwork]:
    generator = AffineGenerator()
    truth = truth_of(generator, temperature)
    with TemporaryDirectory() as folder:
        return truth, train(generator, truth, Path(folder) / "training", steps=500, batch_size=16)


def log_target(truth: Truth, noise: Tensor) -> Tensor:
    """The logarithm of the tilted density up to a constant, log p0(x) + r(g(x)) / alpha, by the
    generator and the reward themselves.
    """
    generator = AffineGenerator()
    images = generator.generate(noise[None], generator.encode([""]))
    reward = QuadraticReward(truth.curvature, truth.target).score(images, [""])
    return -0.5 * noise.square().sum() + reward[0] / truth.temperature


def test_the_generator_is_the_affine_map_that_the_closed_forms_speak_of() -> None:
    generator, noise = AffineGenerator(), torch.randn(3, DIMENSION, dtype=torch.float64)
    images = generator.generate(noise, generator.encode([""] * 3)).flatten(1)
    torch.testing.assert_close(images, noise @ generator.matrix.T + generator.offset)


def test_mean_and_precision_are_those_of_the_tilted_noise() -> None:
    truth = truth_of(AffineGenerator(), 1.7)
    at_mean: Tensor = torch.autograd.functional.jacobian(lambda x: log_target(truth, x), truth.mean)  # type: ignore[no-untyped-call]
    hessian: Tensor = torch.autograd.functional.hessian(lambda x: log_target(truth, x), ZERO)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(at_mean, ZERO, rtol=0, atol=1e-9)
    torch.testing.assert_close(-hessian, truth.precision)


def test_without_the_jacobian_term_the_optimum_at_each_noise_is_the_closed_form() -> None:
    truth, noise = truth_of(AffineGenerator(), 1.7), torch.randn(DIMENSION, dtype=torch.float64)

    def loss(moved: Tensor) -> Tensor:
        return (
            0.5 * (moved - noise).square().sum()
            - 0.5 * moved.square().sum()
            - log_target(truth, moved)
        )

    slope: Tensor = torch.autograd.functional.jacobian(loss, truth.slope @ noise + truth.mean)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(slope, ZERO, rtol=0, atol=1e-9)


def test_with_the_jacobian_term_the_optimum_is_the_target_itself() -> None:
    truth = truth_of(AffineGenerator(), 1.7)
    assert truth.divergence_to_target(truth.exact_slope, truth.mean) == pytest.approx(0, abs=1e-12)
    assert truth.divergence_to_target(truth.slope, truth.mean) == pytest.approx(
        truth.predicted_gap, rel=1e-10
    )
    assert truth.predicted_gap > 0.5


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_training_reaches_the_objectives_own_optimum(temperature: float) -> None:
    truth, network = trained(temperature)
    slope, shift = affine_map(network)
    start, best = truth.loss(IDENTITY, ZERO), truth.loss(truth.slope, truth.mean)
    assert best < start
    assert (start - truth.loss(slope, shift)) / (start - best) > 0.98
    torch.testing.assert_close(slope, truth.slope, rtol=0, atol=0.01)
    torch.testing.assert_close(shift, truth.mean, rtol=0, atol=0.01)


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_what_training_misses_of_the_target_is_predicted(temperature: float) -> None:
    truth, network = trained(temperature)
    slope, shift = affine_map(network)
    assert truth.divergence_to_target(slope, shift) == pytest.approx(truth.predicted_gap, rel=0.02)
    # The covariance is Lambda^-2, not the target's Lambda^-1.
    torch.testing.assert_close(slope @ slope.T, truth.slope @ truth.slope, rtol=0, atol=0.01)
    assert (slope @ slope.T - truth.slope).abs().max() > 0.05


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_the_measured_divergence_is_the_closed_form(temperature: float) -> None:
    _, network = trained(temperature)
    slope, shift = affine_map(network)
    exact = gaussian_divergence(shift, slope @ slope.T, ZERO, IDENTITY)
    noise = torch.randn(
        4000, DIMENSION, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    change = network.as_map(network.generator.encode([""] * len(noise)))
    found = exact_divergence(change, noise)
    assert abs(float(found.kl.mean()) - exact) < 4 * float(found.kl.std()) / len(noise) ** 0.5
    term = float(torch.trace(slope - IDENTITY) - torch.logdet(slope))
    assert float(found.jacobian_term[0]) == pytest.approx(term, rel=1e-6)
    # The paper's approximation leaves out a part that is not small here, although f is a
    # contraction.
    assert (
        float(
            lipschitz_constants(
                change, noise[:2].expand(2, -1).repeat(2000, 1), iterations=30
            ).max()
        )
        < 1
    )
    assert term > 0.3 * exact
