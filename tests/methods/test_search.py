"""What every search without gradients promises: budget, best, batches, and numbers from the sample
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.methods.base import Method, Outcome
from hnbench.methods.evolution import Evolution
from hnbench.methods.search import Search, chosen, ranked
from hnbench.methods.spectral import Spectral
from hnbench.methods.zero_order import ZeroOrder
from hnbench.rewards.base import Reward
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import (
    LinearGenerator,
    LinearReward,
    Spoiled,
    Unasked,
    noises_for,
    tasks_of,
)

SEARCHES = [
    ZeroOrder(neighbours=3, rounds=4),
    ZeroOrder(neighbours=3, rounds=3, restart=True),
    Spectral(budget=12, population=4, elites=2),
    Evolution(population=4, elites=2, generations=4),
]
each = pytest.mark.parametrize("search", SEARCHES, ids=lambda one: f"{one.name}-{one.evaluations}")


def outcomes(
    search: Method, prompts: Sequence[str], reward: Reward | None = None, at_once: int | None = None
) -> dict[str, Outcome]:
    generator = ToyGenerator()
    generator.images_at_once = at_once
    found = search.propose(
        tasks_of(*prompts), generator, reward or BrightnessReward(), noises_for(generator)
    )
    return {outcome.task.prompt: outcome for outcome in found}


def trajectory_of(outcome: Outcome) -> list[float]:
    assert outcome.trajectory is not None
    return [math.nan if value is None else value for value in outcome.trajectory]


@each
def test_the_starting_noise_comes_first_and_the_best_is_returned(search: Method) -> None:
    generator, reward = ToyGenerator(), BrightnessReward()
    for prompt, outcome in outcomes(search, ["a cat", "a dog"]).items():
        scores = trajectory_of(outcome)
        assert len(scores) == search.evaluations  # type: ignore[attr-defined]
        start = noises_for(generator).draw(outcome.task)
        text = generator.encode([prompt])
        first = reward.score(generator.generate(start[None], text), [prompt])
        assert scores[0] == pytest.approx(float(first), abs=1e-7)
        image = generator.generate(outcome.noise[None], text)
        torch.testing.assert_close(image[0], outcome.image)
        assert max(scores) == pytest.approx(float(reward.score(image, [prompt])), abs=1e-6)


@each
@pytest.mark.parametrize("at_once", [None, 1, 5, 64])
def test_a_batch_is_as_many_single_searches(search: Method, at_once: int | None) -> None:
    prompts = ["a cat", "a dog", "a bird"]
    together = outcomes(search, prompts, at_once=at_once)
    for prompt in prompts:
        alone = outcomes(search, [prompt])[prompt]
        torch.testing.assert_close(together[prompt].noise, alone.noise, rtol=1e-5, atol=1e-6)
        assert trajectory_of(together[prompt]) == pytest.approx(trajectory_of(alone), abs=1e-6)


@each
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_never_wins_and_disturbs_nobody(
    search: Method, value: float
) -> None:
    clean = outcomes(search, ["bad", "good"])
    # In the first call all starting noises are scored.
    spoiled = outcomes(
        search, ["bad", "good"], Spoiled(BrightnessReward(), value=value, calls=[0, 2, 3])
    )
    assert torch.equal(spoiled["good"].noise, clean["good"].noise)
    assert spoiled["bad"].noise.isfinite().all()
    scores = torch.tensor(trajectory_of(spoiled["bad"]))
    assert (~scores.isfinite()).sum() == 3
    image = ToyGenerator().generate(spoiled["bad"].noise[None], ToyGenerator().encode(["bad"]))
    best = scores[scores.isfinite()].max()
    found = BrightnessReward().score(image, ["bad"])[0]
    torch.testing.assert_close(found, best, rtol=1e-4, atol=1e-6)


@each
def test_the_host_waits_only_at_the_end(search: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = search.evaluations  # type: ignore[attr-defined]
    reward = Unasked(BrightnessReward(), monkeypatch, calls)
    assert outcomes(search, ["a cat"], reward)["a cat"].trajectory
    assert reward.made == calls


@pytest.mark.parametrize(
    ("search", "beaten"),
    [
        # The means of the maxima of 25 and of 50 standard normal numbers.
        (ZeroOrder(), 1.965),
        (Spectral(), 2.249),
        (Evolution(), 2.249),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_the_defaults_take_the_budget_of_best_of_50_and_climb_a_linear_reward(
    search: Method, beaten: float
) -> None:
    assert search.evaluations == 50  # type: ignore[attr-defined]
    direction = torch.ones(12, dtype=torch.float64) / math.sqrt(12)
    generator = LinearGenerator(torch.eye(12, dtype=torch.float64))
    found = search.propose(
        tasks_of("a cat", samples=400), generator, LinearReward(direction), noises_for(generator)
    )
    gained = [float(outcome.noise.flatten().double() @ direction) for outcome in found]
    assert sum(gained) / 400 > beaten + 4 * 0.6 / math.sqrt(400)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ZeroOrder(neighbours=0), "neighbours was 0"),
        (lambda: ZeroOrder(rounds=1.5), "rounds was 1.5"),  # type: ignore[arg-type]
        (lambda: ZeroOrder(cosine=1.0), "cosine was 1.0"),
        (lambda: ZeroOrder(cosine=math.nan), "cosine was nan"),
        (lambda: Spectral(budget=1), "budget was 1"),
        (lambda: Spectral(elites=11), "elites was 11"),
        (lambda: Spectral(elites=1), "elites was 1"),
        (lambda: Spectral(level=0), "level was 0"),
        (lambda: Evolution(elites=10), "elites was 10"),
        (lambda: Evolution(population=True), "population was True"),
        (lambda: Evolution(mutation=0.0), "mutation was 0.0"),
        (lambda: Evolution(generations=0), "generations was 0"),
    ],
)
def test_a_wrong_parameter_is_named(make: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()  # type: ignore[operator]


def test_scores_that_are_not_finite_rank_last() -> None:
    scores = torch.tensor([1.0, math.nan, math.inf, -math.inf, -5.0])
    assert ranked(scores).tolist() == [1.0, -math.inf, -math.inf, -math.inf, -5.0]


def test_values_are_chosen_for_each_task() -> None:
    values: Tensor = torch.arange(24.0).view(3, 2, 2, 2)
    found = chosen(values, torch.tensor([[2, 0], [1, 1]]))
    assert torch.equal(found[0, 0], values[2, 0])
    assert torch.equal(found[0, 1], values[0, 1])
    assert torch.equal(found[1], values[1])


@each
def test_nested_budgets_are_the_same_search_cut_short(search: Search) -> None:
    nested = replace(search, nested=True)
    generator, reward = ToyGenerator(), BrightnessReward()
    budgets = {2**power for power in range(1, 10) if 2**power < search.evaluations}
    found = list(
        nested.propose(tasks_of("a cat", "a dog"), generator, reward, noises_for(generator))
    )
    assert nested.labels == (*(f"{search.name}-of-{one}" for one in sorted(budgets)), search.name)
    assert nested.identity() == search.identity()
    whole = outcomes(search, ["a cat", "a dog"])
    for outcome in found:
        last = whole[outcome.task.prompt]
        number = int(outcome.label.rpartition("-")[2]) if "-of-" in outcome.label else None
        size = number or search.evaluations
        assert outcome.share == size / search.evaluations
        assert trajectory_of(outcome) == trajectory_of(last)[:size]
        text = generator.encode([outcome.task.prompt])
        score = reward.score(generator.generate(outcome.noise[None], text), [outcome.task.prompt])
        assert float(score) == pytest.approx(max(trajectory_of(last)[:size]), abs=1e-6)
    assert len(found) == 2 * len(nested.labels)


def test_a_smaller_budget_of_spectral_is_the_search_with_that_budget() -> None:
    nested = Spectral(budget=12, population=4, elites=2, nested=True)
    generator = ToyGenerator()
    (eight,) = (
        one
        for one in nested.propose(
            tasks_of("a cat"), generator, BrightnessReward(), noises_for(generator)
        )
        if one.label == "spectral-of-8"
    )
    alone = outcomes(Spectral(budget=8, population=4, elites=2), ["a cat"])["a cat"]
    torch.testing.assert_close(eight.noise, alone.noise)
