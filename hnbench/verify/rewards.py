"""Checks of rewards: published scores of public pictures, by the way that a run scores its saved images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hnbench.loading import load_reward

if TYPE_CHECKING:
    from hnbench.rewards.base import Reward
    from hnbench.verify.check import CheckContext


def scores(check: CheckContext) -> None:
    """The score of each input for its prompt (the only prompt, or one prompt per input), under the input's name."""
    names = [item.name for item in check.reference.inputs]
    prompts = check.reference.given["prompts"]
    reward = _loaded(check)
    for name, prompt in zip(names, prompts * len(names) if len(prompts) == 1 else prompts, strict=True):
        check.compare(name, float(_scored(reward, check, name, prompt)))


def _loaded(check: CheckContext) -> Reward:
    reward = load_reward(check.reference.component, check.device, check.dtype)
    check.uses(reward.name, reward.fingerprint)
    return reward


@torch.no_grad()
def _scored(reward: Reward, check: CheckContext, name: str, prompt: str) -> torch.Tensor:
    return reward.score_pictures([check.picture(name)], [prompt], torch.device(check.device))[0]
