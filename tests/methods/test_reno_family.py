"""The methods that are ReNO with other parts: against torch's optimisers one sample at a time, and
what all of them promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Generator
from hnbench.methods.base import Outcome
from hnbench.methods.concentration import concentration_penalty
from hnbench.methods.dno import DNO
from hnbench.methods.gper import GPER
from hnbench.methods.hybrid import Hybrid
from hnbench.methods.mpgr import MPGR
from hnbench.methods.power_penalty import power_penalty
from hnbench.methods.random_orders import random_orders
from hnbench.methods.reno import ORDERS, ReNO, as_long_as
from hnbench.methods.white_noise import white
from hnbench.rewards.base import Reward
from hnbench.seeds import digest
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import LinearGenerator, Spoiled, Unasked, noises_for, tasks_of

PROMPTS = ("a cat", "a dog", "a red bird")
FAMILY = {
    "gper": GPER(iterations=12),
    "mpgr": MPGR(iterations=12, learning_rate=20.0),
    "dno": DNO(iterations=12, learning_rate=0.1),
    "dno with its regulariser": DNO(iterations=12, learning_rate=0.2, regulariser_weight=1.0),
    "hybrid": Hybrid(iterations=12, learning_rate=0.1),
    "reno with adam": ReNO(iterations=12, optimiser="adam", learning_rate=0.1),
    "reno of white gradients": ReNO(iterations=12, precondition="wgn", learning_rate=0.01),
    "reno from three starts": ReNO(iterations=12, starts=3),
}
each = pytest.mark.parametrize("method", FAMILY.values(), ids=FAMILY)


def run(method: ReNO, tasks: Sequence[Task], reward: Reward | None = None) -> list[Outcome]:
    generator = ToyGenerator(torch.float64)
    return list(
        method.propose(tasks, generator, reward or BrightnessReward(), noises_for(generator))
    )


def trajectory_of(outcome: Outcome) -> tuple[float, ...]:
    assert outcome.trajectory is not None
    return outcome.trajectory


def reference(method: ReNO, task: Task) -> tuple[Tensor, list[float]]:
    """One sample with torch's own optimiser and clipping: the best iterate and the rewards."""
    generator, reward = ToyGenerator(torch.float64), BrightnessReward()
    noises = noises_for(generator)
    noise = torch.nn.Parameter(noises.batch([task]).double())
    optimiser: torch.optim.Optimizer
    if method.optimiser == "adam":
        optimiser = torch.optim.AdamW(
            [noise], lr=method.learning_rate, weight_decay=method.weight_decay
        )
    else:
        optimiser = torch.optim.SGD([noise], lr=method.learning_rate, momentum=0.9, nesterov=True)
    iterates, rewards = [], []
    for iteration in range(1, method.iterations + 1):
        score = reward.score(
            generator.generate(noise, generator.encode([task.prompt])), [task.prompt]
        )
        iterates.append(noise.detach().clone()[0])
        rewards.append(score.item())
        (ours,) = torch.autograd.grad(-score.sum(), noise)
        penalty = None
        if method.regulariser == "prno" and method.regulariser_weight:
            orders = random_orders(noises, [task], iteration, ORDERS)
            penalty = concentration_penalty(noise, orders)
        elif method.regulariser == "mpgr":
            penalty = power_penalty(noise, random_orders(noises, [task], iteration, 1)[:, 0])
        if penalty is not None:
            (towards,) = torch.autograd.grad(penalty.sum(), noise)
            if method.regulariser == "mpgr":
                towards = towards / towards.norm() * ours.norm()
            ours = ours + method.regulariser_weight * towards
        noise.grad = ours
        torch.nn.utils.clip_grad_norm_([noise], method.gradient_clip)
        if method.precondition == "wgn":
            noise.grad = white(noise.grad)
        optimiser.step()
    return iterates[rewards.index(max(rewards))], rewards


@pytest.mark.parametrize("name", ["gper", "mpgr", "dno", "dno with its regulariser"])
def test_a_batch_equals_torchs_own_optimiser_one_sample_at_a_time(name: str) -> None:
    method = FAMILY[name]
    for outcome in run(method, tasks_of(*PROMPTS)):
        noise, rewards = reference(method, outcome.task)
        assert trajectory_of(outcome) == pytest.approx(rewards, rel=1e-6, abs=1e-8)
        torch.testing.assert_close(outcome.noise, noise, rtol=0, atol=1e-5)


@each
def test_a_batch_equals_single_runs_in_any_order(method: ReNO) -> None:
    tasks = tasks_of(*PROMPTS, samples=2)
    together = run(method, tasks[::-1])[::-1]
    for task, outcome in zip(tasks, together, strict=True):
        (alone,) = run(method, [task])
        assert outcome.task == alone.task == task
        assert trajectory_of(outcome) == pytest.approx(trajectory_of(alone), rel=1e-7)
        torch.testing.assert_close(outcome.noise, alone.noise, rtol=0, atol=1e-6)


@each
def test_the_starting_noise_comes_first_and_the_best_is_returned(method: ReNO) -> None:
    generator, reward = ToyGenerator(torch.float64), BrightnessReward()
    for outcome in run(method, tasks_of(*PROMPTS)):
        prompts, rewards = [outcome.task.prompt], trajectory_of(outcome)
        conditioning = generator.encode(prompts)
        start = noises_for(generator).batch([outcome.task]).double()
        for noise, expected in ((start, rewards[0]), (outcome.noise[None], max(rewards))):
            image = generator.generate(noise, conditioning)
            assert float(reward.score(image, prompts)) == pytest.approx(expected, abs=1e-12)
        torch.testing.assert_close(
            outcome.image, generator.generate(outcome.noise[None], conditioning)[0]
        )
        assert max(rewards) > rewards[0]


@each
def test_the_host_never_waits_while_optimising(
    method: ReNO, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = method.passes(1).reward_forward
    reward = Unasked(BrightnessReward(), monkeypatch, calls=calls)
    watched = run(method, tasks_of(*PROMPTS), reward)
    assert reward.made == calls
    assert [one.trajectory for one in watched] == [
        one.trajectory for one in run(method, tasks_of(*PROMPTS))
    ]


@each
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_sample_that_breaks_disturbs_nobody_and_is_never_the_best(
    method: ReNO, value: float
) -> None:
    tasks = tasks_of("good", "bad")
    clean = run(method, tasks)
    # Of three starts, the second is spoiled, and the best when it is evaluated again.
    calls = [8] if method.starts == 1 else [1, 3]
    good, bad = run(method, tasks, Spoiled(BrightnessReward(), value=value, calls=calls))
    assert torch.equal(good.noise, clean[0].noise)
    assert good.trajectory == clean[0].trajectory
    assert bad.noise.isfinite().all()
    finite = [one for one in trajectory_of(bad) if math.isfinite(one)]
    score = BrightnessReward().score(bad.image[None], ["bad"])
    assert float(score) == pytest.approx(max(finite), abs=1e-12)


def test_a_regulariser_without_gradient_stays_without() -> None:
    vectors, others = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    vectors[1] = 0
    found = as_long_as(vectors, others)
    assert torch.equal(found[1], torch.zeros(2, 4))
    for place in (0, 2):
        torch.testing.assert_close(found[place].norm(), others[place].norm())
        torch.testing.assert_close(
            found[place] / found[place].norm(), vectors[place] / vectors[place].norm()
        )


class Flat(Reward):
    """A reward without gradient."""

    name = "flat"
    fingerprint = digest("flat")

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return (images * 0).sum(dim=(1, 2, 3))


@pytest.mark.parametrize("name", ["gper", "mpgr", "hybrid"])
def test_a_gradient_of_zero_does_not_break_a_sample(name: str) -> None:
    for outcome in run(FAMILY[name], tasks_of(*PROMPTS), Flat()):
        assert trajectory_of(outcome) == (0.0,) * 12
        assert outcome.noise.isfinite().all()


def test_the_starts_are_scored_first_and_the_best_is_where_the_ascent_begins() -> None:
    method, tasks = ReNO(iterations=4, starts=5), tasks_of(*PROMPTS)
    generator, reward = ToyGenerator(torch.float64), BrightnessReward()
    noises = noises_for(generator)
    begun = set()
    for outcome in run(method, tasks):
        prompts, rewards = [outcome.task.prompt], trajectory_of(outcome)
        candidates = torch.stack([noises.draw(outcome.task, j) for j in range(5)]).double()
        conditioning = generator.encode(prompts * 5)
        scores = reward.score(generator.generate(candidates, conditioning), prompts * 5).tolist()
        assert rewards[:5] == pytest.approx(scores, abs=1e-12)
        assert rewards[5] == pytest.approx(max(scores), abs=1e-12)
        assert len(rewards) == 9
        assert max(rewards) > max(scores)
        begun.add(scores.index(max(scores)))
    assert begun != {0}  # otherwise it could as well begin at candidate 0


def test_parameters_that_published_reno_has_not_are_in_the_identity_only_if_they_are_used() -> None:
    assert ReNO(optimiser="adam").identity() == {**ReNO().identity(), "optimiser": "adam"}
    assert ReNO(starts=4).identity() == {**ReNO().identity(), "starts": 4}
    assert GPER().identity() == {
        **ReNO().identity(),
        "name": "gper",
        "learning_rate": 0.1,
        "gradient_clip": 0.03,
        "optimiser": "adam",
        "regulariser": "none",
        "precondition": "wgn",
    }
    identities = {digest(method.identity()) for method in FAMILY.values()}
    assert len(identities) == len(FAMILY)
    for name, method in {"gper": GPER(), "mpgr": MPGR(), "dno": DNO(), "hybrid": Hybrid()}.items():
        assert method.identity()["name"] == name
        assert method.labels == (name,)


def test_a_default_of_reno_is_left_out_also_where_a_method_has_another_default() -> None:
    # What is left out has ReNO's default, so the identity still says everything.
    assert "optimiser" not in GPER(optimiser="sgd", precondition="none").identity()
    assert GPER(precondition="none").identity() != GPER().identity()


@pytest.mark.parametrize(
    ("method", "group"),
    [(GPER(), 32), (MPGR(), 32), (ReNO(precondition="wgn"), 32), (DNO(), 1), (ReNO(), 1)],
)
def test_a_noise_that_cannot_be_divided_is_skipped(method: ReNO, group: int) -> None:
    assert method.skip(ToyGenerator()) is None
    odd = LinearGenerator(torch.eye(12))
    reason = method.skip(odd)
    if group == 1:
        assert reason is None
    else:
        assert reason == (
            f"its noise has 12 numbers, which {method.name} cannot divide into groups of 32"
        )


def test_prno_needs_rows_of_four() -> None:
    class Odd(ToyGenerator):
        noise_shape = (1, 3, 3)

    generator: Generator = Odd()
    reason = DNO(regulariser_weight=1.0).skip(generator)
    assert reason == "its noise has 9 numbers, which dno cannot divide into groups of 4"
    assert DNO().skip(generator) is None


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (ReNO, {"optimiser": "lion"}, "reno: optimiser was 'lion'; it must be one of sgd, adam"),
        (ReNO, {"regulariser": "kl"}, "regulariser was 'kl'; it must be one of chi, mpgr, prno, n"),
        (
            GPER,
            {"precondition": "yes"},
            "gper: precondition was 'yes'; it must be one of none, w",
        ),
        (ReNO, {"starts": 0}, "reno: starts was 0; it must be a whole number of at least 1"),
        (ReNO, {"weight_decay": 0.1}, "reno: weight_decay needs optimiser=adam"),
        (DNO, {"weight_decay": -0.1}, "dno: weight_decay was -0.1"),
        (GPER, {"momentum": 0.5}, "gper: momentum has no effect with optimiser=adam"),
        (GPER, {"nesterov": False}, "gper: nesterov has no effect with optimiser=adam"),
        (GPER, {"regulariser_weight": 1.0}, "gper: regulariser_weight has no effect"),
        (Hybrid, {"neighbours": 0}, "hybrid: neighbours was 0"),
        (Hybrid, {"radius": 0.0}, "hybrid: radius was 0.0; it must be a number above 0"),
    ],
)
def test_impossible_settings_are_refused(
    kind: type[ReNO], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**settings)
