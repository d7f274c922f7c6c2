import math
from collections.abc import Sequence

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning
from hnbench.methods.base import Outcome
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.random import Random
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


def outcomes_of(
    n: int, prompts: tuple[str, ...] = ("a cat", "a dog"), reward: Reward | None = None
) -> dict[tuple[str, str], Outcome]:
    generator = ToyGenerator()
    found = BestOfN(n=n).propose(
        tasks_of(*prompts), generator, reward or BrightnessReward(), noises_for(generator)
    )
    return {(outcome.task.prompt, outcome.label): outcome for outcome in found}


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (1, [1]),
        (2, [2]),
        (3, [2, 3]),
        (4, [2, 4]),
        (5, [2, 4, 5]),
        (50, [2, 4, 8, 16, 32, 50]),
        (64, [2, 4, 8, 16, 32, 64]),
    ],
)
def test_labels_are_the_powers_of_two_below_n_and_n(n: int, sizes: list[int]) -> None:
    assert BestOfN(n=n).labels == tuple(f"best-of-{size}" for size in sizes)


def test_one_outcome_per_task_and_label_in_order() -> None:
    assert list(outcomes_of(3)) == [
        ("a cat", "best-of-2"),
        ("a cat", "best-of-3"),
        ("a dog", "best-of-2"),
        ("a dog", "best-of-3"),
    ]


def test_the_outcome_is_the_argmax_over_candidates_scored_one_by_one() -> None:
    generator, reward = ToyGenerator(), BrightnessReward()
    tasks, noises = tasks_of("a cat", "a dog", "a bird"), noises_for(ToyGenerator())
    for outcome in BestOfN(n=6).propose(tasks, generator, reward, noises):
        prompt, size = outcome.task.prompt, int(outcome.label.removeprefix("best-of-"))
        drawn = [noises.draw(outcome.task, candidate) for candidate in range(size)]
        images = [generator.generate(noise[None], generator.encode([prompt])) for noise in drawn]
        scores = [float(reward.score(image, [prompt])) for image in images]
        winner = max(range(size), key=scores.__getitem__)
        assert torch.equal(outcome.noise, drawn[winner])
        torch.testing.assert_close(outcome.image, images[winner][0])
        assert outcome.trajectory == pytest.approx(scores, rel=1e-5, abs=1e-7)
        assert outcome.share == size / 6


def test_a_smaller_label_is_bit_for_bit_the_smaller_search() -> None:
    large = outcomes_of(9)
    for size in (2, 4, 8):
        small = outcomes_of(size)
        for prompt in ("a cat", "a dog"):
            one, other = large[prompt, f"best-of-{size}"], small[prompt, f"best-of-{size}"]
            assert torch.equal(one.image, other.image)
            assert torch.equal(one.noise, other.noise)
            assert one.trajectory == other.trajectory


def test_the_first_candidate_is_the_starting_noise() -> None:
    generator = ToyGenerator()
    tasks, reward, noises = (
        tasks_of("a cat", "a dog"),
        BrightnessReward(),
        noises_for(ToyGenerator()),
    )
    base = Random().propose(tasks, generator, reward, noises)
    alone = BestOfN(n=1).propose(tasks, generator, reward, noises)
    for one, other in zip(base, alone, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.noise, other.noise)


def test_the_rewards_are_the_order_statistics_of_the_normal_distribution() -> None:
    # Along a unit vector the noise is N(0, 1), so the best of k is the maximum of k such numbers.
    direction = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64)
    generator, reward = (
        LinearGenerator(torch.eye(12, dtype=torch.float64)),
        LinearReward(direction / direction.norm()),
    )
    tasks = tasks_of("a cat", samples=800)
    best: dict[str, list[float]] = {}
    for outcome in BestOfN(n=16).propose(tasks, generator, reward, noises_for(generator)):
        best.setdefault(outcome.label, []).append(float(reward.score(outcome.image[None], [""])))
    for size in (2, 4, 8, 16):
        mean = _moment_of_maximum(size, 1)
        deviation = math.sqrt(_moment_of_maximum(size, 2) - mean**2)
        found = sum(best[f"best-of-{size}"]) / len(tasks)
        assert found == pytest.approx(mean, abs=4 * deviation / math.sqrt(len(tasks)))


def _moment_of_maximum(size: int, power: int) -> float:
    value, _ = quad(lambda x: x**power * size * norm.pdf(x) * norm.cdf(x) ** (size - 1), -10, 10)
    return float(value)


def test_a_candidate_whose_reward_is_not_finite_never_wins_and_disturbs_nobody() -> None:
    clean = outcomes_of(8, ("bad", "good"))
    for value in (math.nan, math.inf):
        spoiled = outcomes_of(
            8, ("bad", "good"), Spoiled(BrightnessReward(), value=value, calls=[0, 3, 5])
        )
        trajectory = clean["bad", "best-of-8"].trajectory
        assert trajectory is not None
        winner = max((1, 2, 4, 6, 7), key=trajectory.__getitem__)
        expected = noises_for(ToyGenerator()).draw(tasks_of("bad")[0], winner)
        assert torch.equal(spoiled["bad", "best-of-8"].noise, expected)
        assert torch.equal(spoiled["good", "best-of-8"].image, clean["good", "best-of-8"].image)
        assert spoiled["good", "best-of-8"].trajectory == clean["good", "best-of-8"].trajectory


def test_the_starting_noise_is_kept_where_no_reward_is_finite() -> None:
    spoiled = outcomes_of(
        4, ("bad", "good"), Spoiled(BrightnessReward(), value=math.nan, calls=range(4))
    )
    assert torch.equal(
        spoiled["bad", "best-of-4"].noise, noises_for(ToyGenerator()).draw(tasks_of("bad")[0])
    )


def test_no_more_images_at_once_than_tasks_and_no_graph() -> None:
    class Watching(BrightnessReward):
        seen: list[tuple[int, bool]] = []  # noqa: RUF012

        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            self.seen.append((len(images), torch.is_grad_enabled()))
            return super().score(images, prompts)

    reward = Watching()
    outcomes_of(5, ("a cat", "a dog", "a bird"), reward)
    assert reward.seen == [(3, False)] * 5


def test_the_host_never_waits_while_searching(monkeypatch: pytest.MonkeyPatch) -> None:
    reward = Unasked(BrightnessReward(), monkeypatch, calls=6)
    assert (
        outcomes_of(6, reward=reward)["a cat", "best-of-6"].trajectory
        == outcomes_of(6)["a cat", "best-of-6"].trajectory
    )
    assert reward.made == 6


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_an_impossible_n_is_refused(n: int) -> None:
    with pytest.raises(UsageError, match="n was"):
        BestOfN(n=n)


def test_the_identity_holds_the_name_and_n() -> None:
    assert BestOfN(n=7).identity() == {"name": "best-of-n", "n": 7}


class Roomy(ToyGenerator):
    """Says how many images may be made at once, and notes how many were asked for."""

    def __init__(self, images_at_once: int | None) -> None:
        super().__init__(torch.float64)
        self.images_at_once = images_at_once
        self.asked: list[int] = []

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        self.asked.append(len(noise))
        assert conditioning.step_seeds is not None
        assert len(conditioning.step_seeds) == len(noise) == len(conditioning)
        return super().generate(noise, conditioning, steps)


@pytest.mark.parametrize("images_at_once", range(1, 40))
def test_passes_are_filled_with_candidates_of_few_tasks_and_the_results_stay(
    images_at_once: int,
) -> None:
    tasks, n = tasks_of("a cat", "a dog", "a bird"), 9
    found = {}
    for room in (None, images_at_once):
        generator = Roomy(room)
        outcomes = BestOfN(n=n).propose(
            tasks, generator, BrightnessReward(), noises_for(ToyGenerator())
        )
        found[room] = list(outcomes)
        most = max(room or 0, len(tasks))
        passes, rest = divmod(n * len(tasks), most)
        assert generator.asked == [most] * passes + [rest] * (rest > 0)
    for one, other in zip(found[None], found[images_at_once], strict=True):
        assert (one.task, one.label, one.share) == (other.task, other.label, other.share)
        assert torch.equal(one.noise, other.noise)
        torch.testing.assert_close(one.image, other.image)
        assert one.trajectory == pytest.approx(other.trajectory, rel=1e-12)


def test_a_pass_of_one_candidate_of_each_task_is_the_same_to_the_bit() -> None:
    tasks = tasks_of("a cat", "a dog", "a bird")
    one, other = (
        list(
            BestOfN(n=5).propose(tasks, Roomy(room), BrightnessReward(), noises_for(ToyGenerator()))
        )
        for room in (None, len(tasks))
    )
    for first, second in zip(one, other, strict=True):
        assert torch.equal(first.image, second.image)
        assert first.trajectory == second.trajectory


def test_not_finite_scores_in_a_filled_pass_never_win() -> None:
    class Bad(BrightnessReward):
        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            scores = super().score(images, prompts)
            return torch.where(scores == scores.max(), math.inf, scores)

    (outcome,) = BestOfN(n=2).propose(
        tasks_of("a cat"), Roomy(2), Bad(), noises_for(ToyGenerator())
    )
    assert outcome.trajectory is not None
    assert math.isfinite(min(outcome.trajectory))
    winner = outcome.trajectory.index(min(outcome.trajectory))
    expected = noises_for(ToyGenerator()).draw(tasks_of("a cat")[0], winner)
    assert torch.equal(outcome.noise, expected.double())
