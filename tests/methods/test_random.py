from collections.abc import Sequence

import torch
from torch import Tensor

from hnbench.generators.base import Conditioning
from hnbench.methods.random import Random
from hnbench.rewards.base import Reward
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import noises_for, tasks_of


def test_the_image_is_what_the_starting_noise_gives() -> None:
    generator, tasks = ToyGenerator(), tasks_of("a cat", "a dog", samples=2)
    noises = noises_for(generator)
    outcomes = list(Random().propose(tasks, generator, BrightnessReward(), noises))
    assert [outcome.task for outcome in outcomes] == tasks
    for outcome in outcomes:
        assert (outcome.label, outcome.share, outcome.trajectory) == ("random", 1.0, None)
        assert torch.equal(outcome.noise, noises.draw(outcome.task))
        alone = generator.generate(
            noises.batch([outcome.task]), generator.encode([outcome.task.prompt])
        )[0]
        torch.testing.assert_close(outcome.image, alone)


def test_the_noise_is_float32_under_a_bfloat16_generator_and_float64_under_a_float64_one() -> None:
    for model, wanted in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        generator = ToyGenerator(model)
        (outcome,) = Random().propose(
            tasks_of("a cat"), generator, BrightnessReward(), noises_for(generator)
        )
        assert outcome.noise.dtype == wanted


def test_what_it_leaves_in_a_models_cache_can_be_used_in_a_graph_afterwards() -> None:
    class Caching(ToyGenerator):
        kept: Conditioning | None = None

        def encode(self, prompts: Sequence[str]) -> Conditioning:
            self.kept = self.kept or super().encode(prompts)
            return self.kept

    generator, reward = Caching(), BrightnessReward()
    (outcome,) = Random().propose(tasks_of("a cat"), generator, reward, noises_for(generator))
    noise = outcome.noise[None].requires_grad_()
    score = reward.score(generator.generate(noise, generator.encode(["a cat"])), ["a cat"])
    (gradient,) = torch.autograd.grad(score.sum(), noise)
    assert gradient.abs().sum() > 0


def test_the_reward_is_not_asked() -> None:
    class Refusing(Reward):
        name = fingerprint = "refusing"

        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            raise AssertionError(images, prompts)

    generator = ToyGenerator()
    assert (
        len(list(Random().propose(tasks_of("a cat"), generator, Refusing(), noises_for(generator))))
        == 1
    )


def test_its_labels_and_identity() -> None:
    assert Random().labels == ("random",)
    assert Random().identity() == {"name": "random"}
