"""The chains against targets in closed form, and against the densities written out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.methods.base import Outcome
from hnbench.methods.candidates import Candidates
from hnbench.methods.chain import Chain, ChainState, log_uniforms
from hnbench.methods.langevin import Langevin
from hnbench.methods.pcn import PCN
from hnbench.rewards.base import Reward
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import (
    LinearGenerator,
    LinearReward,
    NearnessReward,
    Spoiled,
    Unasked,
    noises_for,
    tasks_of,
)

NUMBERS = 12
CHAINS = [Langevin(steps=12, alpha=0.0007), PCN(steps=12, alpha=0.01, step=0.5)]
each = pytest.mark.parametrize("chain", CHAINS, ids=lambda one: one.name)


def identity() -> LinearGenerator:
    return LinearGenerator(torch.eye(NUMBERS, dtype=torch.float64))


def last_states(chain: Chain, reward: Reward, samples: int) -> tuple[Tensor, list[float]]:
    """The last states `[samples, 12]` of chains of one prompt, and their acceptance."""
    generator = identity()
    found = [
        one
        for one in chain.propose(
            tasks_of("a cat", samples=samples), generator, reward, noises_for(generator)
        )
        if one.label == chain.name
    ]
    shares = [one.acceptance for one in found if one.acceptance is not None]
    assert len(shares) == samples
    return torch.stack([one.noise.flatten() for one in found]), shares


def assert_normal(states: Tensor, mean: Tensor, variance: float) -> None:
    """Within five standard errors, the states are N(mean, variance I)."""
    count = len(states)
    assert float((states.mean(0) - mean).abs().max()) < 5 * math.sqrt(variance / count)
    covariance = torch.cov(states.T) / variance
    off = covariance - torch.diag(covariance.diagonal())
    assert float(off.abs().max()) < 5 / math.sqrt(count)
    assert float((covariance.diagonal() - 1).abs().max()) < 5 * math.sqrt(2 / count)


def test_langevin_samples_the_target_of_a_linear_reward_and_accepts_everything() -> None:
    direction = torch.linspace(-1.0, 1.5, NUMBERS, dtype=torch.float64)
    states, shares = last_states(
        Langevin(steps=40, alpha=0.5), LinearReward(direction), samples=2000
    )
    # N(x; 0, I) exp(<direction, x> / alpha) is N(direction / alpha, I).
    assert_normal(states, direction / 0.5, 1.0)
    assert set(shares) == {1.0}


@pytest.mark.parametrize(
    "chain",
    [Langevin(steps=60, alpha=0.5), PCN(steps=400, alpha=0.5, step=0.3)],
    ids=lambda one: one.name,
)
def test_a_chain_samples_the_target_of_a_quadratic_reward(chain: Chain) -> None:
    target = torch.linspace(-1.0, 1.0, NUMBERS, dtype=torch.float64)
    states, shares = last_states(chain, NearnessReward(target), samples=2000)
    # The precision of N(x; 0, I) exp(-|x - target|^2 / (2 alpha)) is 1 + 1 / alpha = 3.
    assert_normal(states, target / 1.5, 1 / 3)
    assert 0.2 < sum(shares) / len(shares) < 0.99


def test_a_drift_that_is_shortened_keeps_the_target() -> None:
    target = torch.linspace(-1.0, 1.0, NUMBERS, dtype=torch.float64)
    chain = Langevin(steps=150, alpha=0.5, largest_drift=0.8)
    states, _ = last_states(chain, NearnessReward(target), samples=2000)
    assert_normal(states, target / 1.5, 1 / 3)


def state_of(noise: Tensor, drift: Tensor, score: Tensor) -> ChainState:
    return ChainState(Candidates(noise, torch.zeros(len(noise), 3, 2, 2), score), drift)


def test_langevins_ratio_is_that_of_the_densities() -> None:
    chain, draw = Langevin(alpha=0.7, delta=1.3), torch.Generator().manual_seed(0)
    one, other, near, far = (
        torch.randn(50, NUMBERS, dtype=torch.float64, generator=draw) for _ in range(4)
    )
    scores = torch.randn(2, 50, dtype=torch.float64, generator=draw)
    states = state_of(one, near, scores[0]), state_of(other, far, scores[1])

    def density(state: ChainState, to: Tensor) -> Tensor:
        """Of the target at a state, and of proposing `to` from it; normalised alike."""
        noise = state.candidates.noise
        spread = 1 - chain.rho**2
        mean = chain.rho * noise + math.sqrt(spread) * math.sqrt(chain.delta) / 2 * state.drift
        at = state.candidates.score / chain.alpha - 0.5 * noise.square().sum(1)
        return at - (to - mean).square().sum(1) / (2 * spread)

    expected = density(states[1], one) - density(states[0], other)
    torch.testing.assert_close(chain._log_acceptance(*states), expected)


def test_pcns_ratio_is_that_of_the_densities() -> None:
    chain = PCN(alpha=0.7, step=0.4)
    one, other = torch.randn(2, 50, NUMBERS, dtype=torch.float64)
    scores = torch.randn(2, 50, dtype=torch.float64)
    states = state_of(one, 0 * one, scores[0]), state_of(other, 0 * other, scores[1])

    def density(state: ChainState, to: Tensor) -> Tensor:
        noise = state.candidates.noise
        at = state.candidates.score / chain.alpha - 0.5 * noise.square().sum(1)
        return at - (to - math.sqrt(1 - 0.16) * noise).square().sum(1) / (2 * 0.16)

    expected = density(states[1], one) - density(states[0], other)
    torch.testing.assert_close(chain._log_acceptance(*states), expected)


def outcomes(
    chain: Chain, prompts: Sequence[str], reward: Reward | None = None
) -> dict[tuple[str, str], Outcome]:
    generator = ToyGenerator()
    found = chain.propose(
        tasks_of(*prompts), generator, reward or BrightnessReward(), noises_for(generator)
    )
    return {(one.task.prompt, one.label): one for one in found}


@each
def test_the_rows_are_the_last_and_the_best(chain: Chain) -> None:
    generator, reward = ToyGenerator(), BrightnessReward()
    for (prompt, label), one in outcomes(chain, ["a cat", "a dog"]).items():
        assert one.trajectory is not None
        assert len(one.trajectory) == chain.steps + 1
        text = generator.encode([prompt])
        start = noises_for(generator).draw(one.task)
        first = reward.score(generator.generate(start[None], text), [prompt])
        assert one.trajectory[0] == pytest.approx(float(first), abs=1e-6)
        image = generator.generate(one.noise[None], text)
        torch.testing.assert_close(image[0], one.image)
        score = float(reward.score(image, [prompt]))
        assert any(value == pytest.approx(score, abs=1e-6) for value in one.trajectory)
        if label == f"{chain.name}-best":
            assert score == pytest.approx(max(one.trajectory), abs=1e-6)


@each
def test_a_batch_is_as_many_single_chains(chain: Chain) -> None:
    prompts = ["a cat", "a dog", "a bird"]
    together = outcomes(chain, prompts)
    assert len({one.acceptance for one in together.values()}) > 1
    for prompt in prompts:
        for key, alone in outcomes(chain, [prompt]).items():
            torch.testing.assert_close(together[key].noise, alone.noise, rtol=1e-4, atol=1e-5)
            assert together[key].acceptance == alone.acceptance


@each
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_never_accepted_and_a_bad_start_is_left(
    chain: Chain, value: float
) -> None:
    clean = outcomes(chain, ["bad", "good"])
    spoiled = outcomes(
        chain, ["bad", "good"], Spoiled(BrightnessReward(), value=value, calls=[0, 3, 4])
    )
    for label in chain.labels:
        assert torch.equal(spoiled["good", label].noise, clean["good", label].noise)
        image = ToyGenerator().generate(
            spoiled["bad", label].noise[None], ToyGenerator().encode(["bad"])
        )
        assert image.isfinite().all()
        assert not torch.equal(
            spoiled["bad", label].noise, noises_for(ToyGenerator()).draw(tasks_of("bad")[0])
        )


def test_a_gradient_that_is_not_finite_is_never_accepted() -> None:
    chain = CHAINS[0]
    reward = Spoiled(BrightnessReward(), value=math.nan, calls=range(1, 99), only_gradient=True)
    found = outcomes(chain, ["bad", "good"], reward)
    assert found["bad", "langevin"].acceptance == 0
    start = noises_for(ToyGenerator()).draw(tasks_of("bad")[0])
    assert torch.equal(found["bad", "langevin"].noise, start)
    assert found["good", "langevin"].noise.isfinite().all()


@each
def test_the_host_waits_only_at_the_end(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    reward = Unasked(BrightnessReward(), monkeypatch, chain.steps + 1)
    assert outcomes(chain, ["a cat"], reward)
    assert reward.made == chain.steps + 1


def test_the_lots_are_uniform_and_depend_on_the_sample_alone() -> None:
    noises = noises_for(ToyGenerator())
    tasks = tasks_of("a cat", "a dog", samples=300)
    lots = log_uniforms(noises, tasks, 50)
    assert torch.equal(log_uniforms(noises, tasks[5:6], 50)[0], lots[5])
    uniform = lots.exp().flatten().sort().values
    grid = (torch.arange(len(uniform)) + 0.5) / len(uniform)
    # The largest distance of the distribution function (Kolmogorov) at a p-value of 1e-6.
    assert float((uniform - grid).abs().max()) < 2.7 / math.sqrt(len(uniform))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PCN(steps=0), "steps was 0"),
        (lambda: PCN(alpha=0.0), "alpha was 0.0"),
        (lambda: PCN(step=1.1), "step was 1.1"),
        (lambda: Langevin(alpha=math.inf), "alpha was inf"),
        (lambda: Langevin(delta=4.0), "delta was 4.0"),
        (lambda: Langevin(largest_drift=0.0), "largest_drift was 0.0"),
    ],
)
def test_a_wrong_parameter_is_named(make: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()  # type: ignore[operator]
