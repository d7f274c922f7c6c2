"""The check of a reward."""

from __future__ import annotations

import torch
from torch import Tensor

from hnbench.guards.answers import as_scores
from hnbench.methods.base import without_gradient
from hnbench.rewards.base import Reward
from hnbench.testing.contract import (
    as_a_run_checks,
    name_of,
    require,
    require_close,
    require_fingerprint,
    require_text,
)
from hnbench.testing.pictures import PROMPTS, images, pictures

COUNT = len(PROMPTS)


def check_reward(reward: Reward, *, image_size: int = 64, device: str = "cpu") -> None:
    """Check a loaded reward with square images of `image_size` pixels, on the `device` of its
    weights. `ContractError` if it breaks its contract.

    One rule cannot be checked: that a higher score is better.
    """
    who = name_of("reward", reward)
    require_text(who, "name", reward.name)
    require(isinstance(reward.source, str), who, "source has to be text")
    require_fingerprint(who, lambda: reward.fingerprint)
    batch = images(COUNT, image_size).to(device)
    with without_gradient():
        _check_scores(who, reward, batch)
        _check_pictures(who, reward, image_size, device)
    _check_gradient(who, reward, batch)


def _score(who: str, reward: Reward, batch: Tensor, *, differentiable: bool = False) -> Tensor:
    with as_a_run_checks():
        prompts = PROMPTS[: len(batch)]
        return as_scores(
            who, reward.score(batch, prompts), len(batch), differentiable=differentiable
        )


def _check_scores(who: str, reward: Reward, batch: Tensor) -> None:
    before = batch.clone()
    scores = _score(who, reward, batch)
    require(
        scores.dtype in (torch.float32, torch.float64),
        who,
        "scores have to be float32 or wider",
        f"got {scores.dtype}",
    )
    require(torch.equal(batch, before), who, "score must not change the images it is given")
    for name, one in (("", batch), ("black ", batch * 0), ("white ", batch * 0 + 1)):
        values = _score(who, reward, one)
        require(values.isfinite().all(), who, f"scores of {name}images have to be finite")
    again = _score(who, reward, batch)
    require_close(who, "the same images and prompts have to give the same scores", again, scores)
    rule = "a score must not depend on the batch that it is computed in"
    for row in range(COUNT):
        alone = reward.score(batch[row : row + 1], [PROMPTS[row]])
        require_close(who, rule, alone, scores[row : row + 1])
    swapped = reward.score(batch.flip(0), PROMPTS[::-1])
    require_close(who, f"{rule}, or on its order", swapped, scores.flip(0))


def _check_pictures(who: str, reward: Reward, size: int, device: str) -> None:
    shown = pictures(COUNT, size)
    place = torch.device(device)
    with as_a_run_checks():
        given = reward.score_pictures(shown, PROMPTS, place)
        scores = as_scores(f"{who}, asked by score_pictures,", given, COUNT)
    require(scores.isfinite().all(), who, "scores of pictures have to be finite")
    rule = "a picture's score must not depend on the batch that it is computed in"
    for row, picture in enumerate(shown):
        alone = reward.score_pictures([picture], [PROMPTS[row]], place)
        require_close(who, rule, alone, scores[row : row + 1])


def _check_gradient(who: str, reward: Reward, batch: Tensor) -> None:
    leaf = batch.clone().requires_grad_()
    scores = _score(who, reward, leaf, differentiable=True)
    (gradient,) = torch.autograd.grad(scores[0], leaf, allow_unused=True)
    rule = "scores have to be differentiable in the images"
    require(gradient is not None, who, rule, "no gradient reaches the images")
    size = [float(row.norm()) for row in gradient]
    require(0 < size[0] < torch.inf, who, rule, f"the gradient has norm {size[0]}")
    require(
        size[1:] == [0.0] * (COUNT - 1),
        who,
        "a score must not depend on another image",
        f"its gradients with respect to the others have the norms {size[1:]}",
    )
