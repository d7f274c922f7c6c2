from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from hnbench.hypernetwork.adapter import Hypernetwork, LoraAdapter, LoraSettings
from hnbench.hypernetwork.divergence import (
    error_bound,
    estimated_divergence,
    exact_divergence,
    lipschitz_constants,
    spectral_norm_bound,
    truncation_bound,
)
from tests.hypernetwork.test_adapter import noise_for, shaken
from tests.hypernetwork.tiny import PROMPTS, UNetGenerator

DIMENSION = 6


def matrix(scale: float, seed: int = 0) -> Tensor:
    """Random, not symmetric, with this spectral norm."""
    value = torch.randn(
        DIMENSION, DIMENSION, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    scaled: Tensor = scale * value / torch.linalg.matrix_norm(value, 2)
    return scaled


def noises(count: int) -> Tensor:
    return torch.randn(
        count, DIMENSION, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )


def smooth(scale: float) -> nn.Module:
    """A small nonlinear map, far from linear."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Linear(DIMENSION, 16), nn.Tanh(), nn.Linear(16, DIMENSION)
        ).double()
    return nn.Sequential(network, Scale(scale))


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_of_an_affine_map_it_is_the_divergence_of_two_gaussians() -> None:
    slope, shift = matrix(0.6), torch.linspace(-1, 1, DIMENSION, dtype=torch.float64)
    whole = torch.eye(DIMENSION, dtype=torch.float64) + slope
    truth = torch.distributions.kl_divergence(
        torch.distributions.MultivariateNormal(shift, whole @ whole.T),
        torch.distributions.MultivariateNormal(
            torch.zeros_like(shift), torch.eye(DIMENSION, dtype=torch.float64)
        ),
    )
    found = exact_divergence(lambda x: x @ slope.T + shift, noises(20_000)).kl
    assert abs(float(found.mean() - truth)) < 4 * float(found.std()) / len(found) ** 0.5
    # The Jacobian term has no sampling error here.
    found = exact_divergence(lambda x: x @ slope.T + shift, noises(3)).jacobian_term
    torch.testing.assert_close(
        found, (slope.trace() - torch.linalg.slogdet(whole).logabsdet).expand(3)
    )


def test_the_jacobian_term_is_stein_s_difference() -> None:
    # KL = E[x.f + 1/2 ||f||^2 - log|det|] before Stein's lemma (Eq. 53): the same mean, by another
    # road.
    network = smooth(0.4)
    noise = noises(20_000)
    parts = exact_divergence(network, noise)
    jacobian = torch.func.vmap(torch.func.jacrev(network))(noise[:2000])
    logs = torch.linalg.slogdet(torch.eye(DIMENSION) + jacobian).logabsdet
    with torch.no_grad():
        before = (
            (noise[:2000] * network(noise[:2000])).sum(1)
            + 0.5 * network(noise[:2000]).square().sum(1)
            - logs
        )
    difference = before - parts.kl[:2000]
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / 2000**0.5
    torch.testing.assert_close(
        parts.jacobian_term[:2000], (jacobian.diagonal(dim1=1, dim2=2).sum(1) - logs).detach()
    )


def test_the_estimate_agrees_with_the_exact_value_within_its_error() -> None:
    network, noise = smooth(0.5), noises(400)
    largest = float(lipschitz_constants(network, noise, iterations=50).max())
    assert largest < 0.9
    exact = exact_divergence(network, noise)
    estimate = estimated_divergence(network, noise, probes=8, terms=12)
    difference = estimate.jacobian_term - exact.jacobian_term
    error = float(difference.std()) / len(noise) ** 0.5
    assert abs(float(difference.mean())) < 4 * error + truncation_bound(largest, DIMENSION, 12)
    assert error < 0.1 * float(exact.jacobian_term.mean())
    torch.testing.assert_close(estimate.half_squared_norm, exact.half_squared_norm)


def test_the_truncated_series_is_within_its_bound() -> None:
    # A multiple of the identity: every sign vector gives the traces exactly, and the bound is
    # nearly tight.
    for factor in (0.5, -0.5):
        exact = DIMENSION * (factor - math.log1p(factor))
        for terms in (2, 4, 8):
            found = estimated_divergence(
                lambda x, factor=factor: factor * x,  # type: ignore[misc]
                noises(2),
                probes=1,
                terms=terms,
            ).jacobian_term
            bound = truncation_bound(0.5, DIMENSION, terms)
            assert abs(float(found[0]) - exact) <= bound
        assert abs(exact) <= error_bound(0.5, DIMENSION) + 1e-12
    assert error_bound(0.5, DIMENSION) == pytest.approx(DIMENSION * (-0.5 - math.log(0.5)))


def test_the_bounds_at_the_ends() -> None:
    assert truncation_bound(0.0, 5, 3) == error_bound(0.0, 5) == 0
    assert truncation_bound(1.0, 5, 3) == error_bound(1.0, 5) == math.inf
    assert error_bound(0.1, 16384) == pytest.approx(87.8, abs=0.05)


def test_lipschitz_constants_are_spectral_norms() -> None:
    slope = matrix(0.7)
    torch.testing.assert_close(
        lipschitz_constants(lambda x: x @ slope.T, noises(3), iterations=200),
        torch.full((3,), 0.7).double(),
    )
    network, noise = smooth(1.0), noises(5)
    truth = torch.linalg.matrix_norm(torch.func.vmap(torch.func.jacrev(network))(noise), 2).detach()
    found = lipschitz_constants(network, noise, iterations=200)
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=0)
    early = lipschitz_constants(network, noise, iterations=2)
    assert bool((early <= truth * (1 + 1e-9)).all())
    assert not lipschitz_constants(lambda x: torch.zeros_like(x) + 0 * x, noise).count_nonzero()


def test_a_spectral_norm_is_below_its_bound_as_often_as_promised() -> None:
    # The two largest singular values lie close together, where power iteration is slowest.
    dimension, iterations, failure = 64, 20, 0.05
    values = torch.full((dimension,), 0.99, dtype=torch.float64)
    values[0] = 1.01
    found = [
        float(
            lipschitz_constants(
                lambda x: x * values, noises_of(dimension), iterations=iterations, seed=seed
            )
        )
        for seed in range(200)
    ]
    assert sum(value < 1 for value in found) > 150, (
        "the estimate from below hides that this map is no contraction"
    )
    bounds = [spectral_norm_bound(value, dimension, iterations, failure) for value in found]
    assert sum(bound < 1.01 for bound in bounds) <= failure * len(bounds)


def noises_of(dimension: int) -> Tensor:
    return torch.zeros(1, dimension, dtype=torch.float64)


def test_the_bound_on_a_spectral_norm_falls_with_iterations_and_rises_with_confidence() -> None:
    bounds = [
        spectral_norm_bound(0.5, 1024, iterations, 0.01) for iterations in (5, 20, 100, 10_000)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == pytest.approx(0.5, rel=1e-3)
    assert spectral_norm_bound(0.5, 1024, 20, 0.001) > spectral_norm_bound(0.5, 1024, 20, 0.01)
    # 0.824 sqrt(1024) (1 - e)^19.5 = 0.01
    assert spectral_norm_bound(1.0, 1024, 20, 0.01) == pytest.approx(
        (0.01 / (0.824 * 32)) ** (-0.5 / 19.5)
    )
    assert spectral_norm_bound(0.0, 1024, 20, 0.01) == 0
    with pytest.raises(ValueError, match="failure must be between 0 and 1"):
        spectral_norm_bound(0.5, 1024, 20, 1.5)


def test_a_real_unet_with_attention_is_measured() -> None:
    generator = UNetGenerator()
    network = Hypernetwork(generator, shaken(LoraAdapter(generator.backbone, LoraSettings(4, 8))))
    noise, change = (
        noise_for(generator, 1)[..., :4, :4],
        network.as_map(generator.encode(PROMPTS[:1])),
    )
    found: Tensor = torch.autograd.functional.jacobian(
        lambda x: change(x[None])[0].flatten(), noise[0]
    )  # type: ignore[no-untyped-call]
    jacobian = found.flatten(1).double()
    term = (
        jacobian.trace()
        - torch.linalg.slogdet(torch.eye(len(jacobian), dtype=torch.float64) + jacobian).logabsdet
    )
    torch.testing.assert_close(
        exact_divergence(change, noise).jacobian_term[0], term, rtol=1e-3, atol=1e-4
    )
    largest = float(lipschitz_constants(change, noise, iterations=15)[0])
    assert 0.95 < largest / float(torch.linalg.matrix_norm(jacobian, 2)) < 1 + 1e-4
    # The traces by hand, with the estimator's own sign vectors.
    signs = (
        torch.randint(0, 2, noise.shape, generator=torch.Generator().manual_seed(0))
        .double()
        .flatten()
        * 2
        - 1
    )
    by_hand = (
        signs @ jacobian @ jacobian @ signs / 2 - signs @ jacobian @ jacobian @ jacobian @ signs / 3
    )
    estimate = estimated_divergence(change, noise, probes=1, terms=3).jacobian_term[0]
    torch.testing.assert_close(estimate, by_hand, rtol=1e-3, atol=1e-4)


def test_what_makes_no_series_is_refused() -> None:
    with pytest.raises(ValueError, match="terms at least 2"):
        estimated_divergence(lambda x: x, noises(1), terms=1)
