import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from scipy.stats import chi
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning
from hnbench.methods.base import Outcome
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO, clip_per_sample, norm_penalty
from hnbench.rewards.base import Reward
from hnbench.tasks import Task
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

PROMPTS = ("a cat", "a dog", "a red bird", "two chairs")


def run(
    method: ReNO,
    tasks: list[Task],
    generator: ToyGenerator | None = None,
    reward: Reward | None = None,
) -> list[Outcome]:
    generator = generator or ToyGenerator(torch.float64)
    return list(
        method.propose(tasks, generator, reward or BrightnessReward(), noises_for(generator))
    )


def reference(
    task: Task, generator: ToyGenerator, reward: Reward, settings: dict[str, Any]
) -> tuple[Tensor, list[float]]:
    """ReNO for one sample with torch's own optimiser and clipping: the best iterate, and the
    rewards.
    """
    noise = torch.nn.Parameter(noises_for(generator).batch([task]).to(generator.dtype))
    optimiser = torch.optim.SGD(
        [noise],
        lr=settings["learning_rate"],
        momentum=settings["momentum"],
        nesterov=settings["nesterov"],
    )
    rewards: list[float] = []
    best = noise.detach().clone()
    for iteration in range(settings["iterations"]):
        optimiser.zero_grad()
        score = reward.score(
            generator.generate(noise, generator.encode([task.prompt])), [task.prompt]
        ).sum()
        rewards.append(score.item())
        if rewards[-1] > max(rewards[:-1], default=-math.inf):
            best = noise.detach().clone()
        if iteration < settings["iterations"] - 1:
            size = noise.norm()
            penalty = 0.5 * size**2 - (noise.numel() - 1) * torch.log(size)
            (-score + settings["regulariser_weight"] * penalty).backward()
            torch.nn.utils.clip_grad_norm_([noise], settings["gradient_clip"])
            optimiser.step()
    return best[0], rewards


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"nesterov": False},
        {"momentum": 0.0, "nesterov": False},
        {"gradient_clip": 100.0, "learning_rate": 1.0},
        {"regulariser_weight": 0.0},
    ],
)
def test_a_batch_equals_torchs_own_optimiser_one_sample_at_a_time(changes: dict[str, Any]) -> None:
    settings = {**ReNO().identity(), **changes}
    settings.pop("name")
    generator, reward, tasks = ToyGenerator(torch.float64), BrightnessReward(), tasks_of(*PROMPTS)
    for outcome in run(ReNO(**settings), tasks, generator, reward):
        noise, rewards = reference(outcome.task, generator, reward, settings)
        assert outcome.trajectory == pytest.approx(rewards, rel=1e-7, abs=1e-9)
        torch.testing.assert_close(outcome.noise, noise, rtol=0, atol=1e-6)


def test_a_batch_equals_single_runs_after_50_iterations() -> None:
    tasks = tasks_of(*PROMPTS)
    together = run(ReNO(), tasks)
    for task, outcome in zip(tasks, together, strict=True):
        (alone,) = run(ReNO(), [task])
        assert outcome.task == alone.task == task
        torch.testing.assert_close(outcome.noise, alone.noise, rtol=0, atol=1e-6)
        torch.testing.assert_close(outcome.image, alone.image, rtol=0, atol=1e-6)
        assert (outcome.noise - noises_for(ToyGenerator()).draw(task)).norm() > 1


def test_the_penaltys_gradient_is_its_closed_form_for_each_sample() -> None:
    noise = torch.randn(
        5, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    (gradient,) = torch.autograd.grad(norm_penalty(noise).sum(), noise)
    flat = noise.detach().flatten(1)
    closed = (1 - 31 / flat.square().sum(dim=1, keepdim=True)) * flat
    torch.testing.assert_close(gradient.flatten(1), closed)


def test_the_penalty_is_lowest_where_the_chi_distribution_is_densest() -> None:
    direction = torch.nn.functional.normalize(
        torch.randn(1, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    )
    lengths = torch.linspace(3, 9, 6001, dtype=torch.float64)
    penalties = norm_penalty(lengths[:, None] * direction)
    assert float(lengths[penalties.argmin()]) == pytest.approx(math.sqrt(31), abs=1e-3)
    # It is minus scipy's log-density up to a constant.
    total = penalties + torch.from_numpy(chi.logpdf(lengths.numpy(), 32))
    assert float(total.max() - total.min()) < 1e-9


def test_clipping_shortens_only_what_is_longer_and_each_sample_by_itself() -> None:
    gradient = torch.stack([torch.full((2, 2), 5.0), torch.full((2, 2), 0.01), torch.zeros(2, 2)])
    clipped = clip_per_sample(gradient, 0.1)
    torch.testing.assert_close(clipped[0], torch.full((2, 2), 0.05), rtol=1e-5, atol=0)
    assert torch.equal(clipped[1:], gradient[1:])


def test_the_kept_iterate_is_the_best_of_the_trajectory_and_never_worse_than_the_base() -> None:
    generator, reward, tasks = (
        ToyGenerator(torch.float64),
        BrightnessReward(),
        tasks_of(*PROMPTS, samples=3),
    )
    base = Random().propose(tasks, generator, reward, noises_for(generator))
    for outcome, start in zip(
        run(ReNO(learning_rate=60.0), tasks, generator, reward), base, strict=True
    ):
        assert outcome.trajectory is not None
        prompts = [outcome.task.prompt]
        score = float(reward.score(outcome.image[None], prompts))
        assert score == max(outcome.trajectory)
        assert outcome.trajectory[0] == pytest.approx(
            float(reward.score(start.image[None], prompts)), abs=1e-12
        )
        # The image is the one that the kept noise gives, though it was not rendered again.
        torch.testing.assert_close(
            outcome.image, generator.generate(outcome.noise[None], generator.encode(prompts))[0]
        )


def test_one_iteration_is_the_base() -> None:
    generator, tasks = ToyGenerator(), tasks_of(*PROMPTS)
    base = Random().propose(tasks, generator, BrightnessReward(), noises_for(generator))
    for outcome, start in zip(run(ReNO(iterations=1), tasks, generator), base, strict=True):
        assert torch.equal(outcome.noise, start.noise)
        assert torch.equal(outcome.image, start.image)


def test_a_quadratic_reward_is_solved() -> None:
    rng = torch.Generator().manual_seed(3)
    matrix = torch.eye(12, dtype=torch.float64) + 0.2 * torch.randn(
        12, 12, dtype=torch.float64, generator=rng
    )
    target = torch.randn(12, dtype=torch.float64, generator=rng)
    method = ReNO(iterations=400, learning_rate=0.1, gradient_clip=100.0, regulariser_weight=0.0)
    for outcome in run(method, tasks_of(*PROMPTS), LinearGenerator(matrix), NearnessReward(target)):
        torch.testing.assert_close(
            outcome.noise.flatten(), torch.linalg.solve(matrix, target), rtol=0, atol=1e-6
        )


def test_a_linear_reward_ends_where_it_balances_the_regulariser() -> None:
    # The stationary point of <a, e> - w (|e|^2 / 2 - (d - 1) log |e|) lies along a, at s with |a| =
    # w (s - (d - 1) / s).
    direction = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64)
    length, weight, dimension = float(direction.norm()), 2.0, 12
    s = (length + math.sqrt(length**2 + 4 * weight**2 * (dimension - 1))) / (2 * weight)
    method = ReNO(
        iterations=400, learning_rate=0.02, gradient_clip=100.0, regulariser_weight=weight
    )
    generator = LinearGenerator(torch.eye(12, dtype=torch.float64))
    for outcome in run(method, tasks_of(*PROMPTS), generator, LinearReward(direction)):
        assert outcome.trajectory is not None
        assert outcome.trajectory[-1] == pytest.approx(length * s, rel=1e-9)


@pytest.mark.parametrize(
    ("value", "only_gradient"),
    [(math.nan, False), (math.inf, False), (math.nan, True), (math.inf, True)],
)
def test_a_sample_that_breaks_stops_keeps_its_best_and_disturbs_nobody(
    value: float, only_gradient: bool
) -> None:
    tasks, method = tasks_of("good", "bad"), ReNO(iterations=20)
    clean = run(method, tasks)
    good, bad = run(
        method,
        tasks,
        reward=Spoiled(BrightnessReward(), value=value, calls=[7], only_gradient=only_gradient),
    )
    assert torch.equal(good.noise, clean[0].noise)
    assert good.trajectory == clean[0].trajectory
    before = (
        8 if only_gradient else 7
    )  # In iteration 7 the reward was still seen when only the gradient broke.
    (short,) = [
        outcome for outcome in run(ReNO(iterations=before), tasks) if outcome.task.prompt == "bad"
    ]
    assert torch.equal(bad.noise, short.noise)
    assert torch.equal(bad.image, short.image)
    assert bad.trajectory is not None
    assert bad.trajectory[:before] == short.trajectory
    assert all(math.isnan(reward) for reward in bad.trajectory[before:])
    assert len(bad.trajectory) == 20


def test_a_broken_gradient_stops_a_sample_whose_reward_would_not_show_it() -> None:
    class OneChannel(Reward):
        """Sees the first channel only; its gradient in the last one is infinite in the third
        call.
        """

        name = "one-channel"
        fingerprint = "one-channel"
        calls = 0

        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            assert len(images) == len(prompts)
            self.calls += 1
            if self.calls == 3:
                images.register_hook(
                    lambda gradient: gradient.index_fill(1, torch.tensor(2), math.inf)
                )  # type: ignore[no-untyped-call]
            return images[:, 0].sum(dim=(1, 2))

    class Unmixed(LinearGenerator):
        def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
            assert len(noise) == len(conditioning) == steps
            return noise.to(self.dtype)

    (outcome,) = run(
        ReNO(iterations=6),
        tasks_of("a cat"),
        Unmixed(torch.eye(12, dtype=torch.float64)),
        OneChannel(),
    )
    assert outcome.trajectory is not None
    assert [math.isnan(reward) for reward in outcome.trajectory] == [False] * 3 + [True] * 3
    assert outcome.noise.isfinite().all()


def test_a_sample_that_is_broken_from_the_start_keeps_its_starting_noise() -> None:
    _, bad = run(
        ReNO(iterations=5),
        tasks_of("good", "bad"),
        reward=Spoiled(BrightnessReward(), value=math.nan, calls=[0]),
    )
    assert torch.equal(bad.noise, noises_for(ToyGenerator()).draw(bad.task).double())
    assert bad.trajectory is not None
    assert all(math.isnan(reward) for reward in bad.trajectory)


def test_the_host_never_waits_while_optimising(monkeypatch: pytest.MonkeyPatch) -> None:
    reward = Unasked(BrightnessReward(), monkeypatch, calls=12)
    watched = run(ReNO(iterations=12), tasks_of(*PROMPTS), reward=reward)
    assert reward.made == 12
    assert [outcome.trajectory for outcome in watched] == [
        outcome.trajectory for outcome in run(ReNO(iterations=12), tasks_of(*PROMPTS))
    ]


class Rising(BrightnessReward):
    """Brightness that grows by one each call, so that the last iterate is kept."""

    calls = 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        self.calls += 1
        return super().score(images, prompts) + self.calls


def test_passes_forward_and_backward_are_n_and_n_minus_1_and_only_the_noise_gets_a_gradient() -> (
    None
):
    class Counting(ToyGenerator):
        backward = 0

        def __init__(self) -> None:
            super().__init__()
            self.graphs: list[bool] = []

        def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
            image = super().generate(noise, conditioning, steps)
            self.graphs.append(image.requires_grad)
            if image.requires_grad:
                image.register_hook(self.count)  # type: ignore[no-untyped-call]
            return image

        def count(self, _gradient: Tensor) -> None:
            self.backward += 1

    generator = Counting()
    with torch.no_grad():  # The caller's mode does not matter.
        outcomes = run(ReNO(iterations=9), tasks_of(*PROMPTS), generator)
    assert (generator.graphs, generator.backward) == ([True] * 8 + [False], 8)
    assert all(
        parameter.grad is None and not parameter.requires_grad
        for parameter in generator.backbone.parameters()
    )
    assert not any(
        outcome.noise.requires_grad or outcome.image.requires_grad for outcome in outcomes
    )


def test_the_iterate_stays_in_float32_under_a_bfloat16_generator() -> None:
    (outcome,) = run(
        ReNO(iterations=40, learning_rate=1e-3),
        tasks_of("a cat"),
        ToyGenerator(torch.bfloat16),
        Rising(),
    )
    moved = outcome.noise - noises_for(ToyGenerator()).draw(outcome.task)
    assert outcome.noise.dtype == torch.float32
    # The steps, of about 1e-5 a number, would all be rounded away from numbers near 1 in bfloat16.
    assert 0 < float(moved.abs().max()) < 2**-8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iterations": 0}, "iterations was 0"),
        ({"iterations": 2.5}, "iterations was 2.5"),
        ({"learning_rate": 0.0}, "learning_rate was 0.0"),
        ({"learning_rate": math.nan}, "learning_rate was nan"),
        ({"gradient_clip": -1.0}, "gradient_clip was -1.0"),
        ({"gradient_clip": math.inf}, "gradient_clip was inf"),
        ({"regulariser_weight": -0.1}, "regulariser_weight was -0.1"),
        ({"momentum": 1.0}, "momentum was 1.0"),
        ({"momentum": 0.0}, "nesterov needs a momentum"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ReNO(**settings)


def test_the_identity_holds_every_setting_and_the_defaults_are_the_published_ones() -> None:
    settings = {
        "iterations": 50,
        "learning_rate": 5.0,
        "momentum": 0.9,
        "nesterov": True,
        "gradient_clip": 0.1,
        "regulariser_weight": 0.01,
    }
    assert ReNO().identity() == {"name": "reno", **settings}
    assert ReNO().labels == ("reno",)
