from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from hnbench.catalogue.registry import REWARDS
from hnbench.rewards.base import Mixture, Reward
from hnbench.testing import BrightnessReward, ContractError, RedReward, check_reward

OWN = ("shapes-clip", "shapes-resnet", "shapes-byobnet", "shapes-efficientnet", "redness")


@pytest.mark.parametrize("name", OWN)
def test_the_built_in_rewards_keep_the_contract(name: str) -> None:
    check_reward(REWARDS.get(name)(device="cpu", dtype="float32"))


def test_the_toys_keep_the_contract() -> None:
    check_reward(RedReward())
    check_reward(BrightnessReward(), image_size=8)
    check_reward(
        Mixture({"red": (RedReward(), 2.0), "b": (BrightnessReward(), -1.0)}), image_size=8
    )


class Made(RedReward):
    """Red, and then something else."""

    def __init__(self, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.change = change

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.change(super().score(images, prompts), images)


class Counting(RedReward):
    calls = 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        self.calls += 1
        return super().score(images, prompts) + self.calls


class Misplaced(RedReward):
    """Gives the first image's prompt to all."""

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return super().score(images, prompts) + len(prompts[0])


class Renamed(RedReward):
    made = 0

    @property
    def fingerprint(self) -> str:
        self.made += 1
        return f"{self.made:064x}"


class Published(RedReward):
    def score_pictures(self, pictures: object, prompts: Sequence[str], device: object) -> Tensor:
        return torch.zeros(len(prompts) + 1)


def leak(scores: Tensor, _: Tensor) -> Tensor:
    return scores + 0.1 * (scores.sum() - scores.sum().detach())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Made(lambda scores, _: scores.mean()), r"a floating-point tensor \[3\] is expected"),
        (Made(lambda scores, _: scores[:, None]), r"a floating-point tensor \[3\] is expected"),
        (Made(lambda scores, _: scores.half()), "float32 or wider; got torch.float16"),
        (Made(lambda scores, _: scores.log()), "scores of black images have to be finite"),
        (Made(lambda scores, _: scores - scores.mean()), "must not depend on the batch"),
        (Made(lambda scores, _: scores.detach()), "gave no gradient"),
        (Made(lambda scores, _: scores.round() + 0 * scores), "the gradient has norm 0.0"),
        (Made(leak), "a score must not depend on another image; its gradients"),
        (
            Made(lambda scores, images: images.clamp_(0, 0.5)[:, 0].mean((1, 2)) + 0 * scores),
            "not change the images",
        ),
        (Counting(), "the same images and prompts have to give the same scores"),
        (Misplaced(), "must not depend on the batch"),
        (Renamed(), "the fingerprint has to stay the same"),
        (Published(), "asked by score_pictures"),
    ],
)
def test_a_broken_rule_is_named(broken: Reward, rule: str) -> None:
    with pytest.raises(ContractError, match=rule) as raised:
        check_reward(broken)
    assert str(raised.value).startswith("the reward red")
