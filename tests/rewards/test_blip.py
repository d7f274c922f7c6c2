"""BLIP's matching against transformers' own forward pass, on random weights of the real class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hnbench.rewards.blip import BlipReward
from hnbench.shapes_training.matcher import Matcher

PROMPTS = ["a photo of a red circle", "a photo of two stars", "a photo of a heart above a ring"]
HALF = (0.5, 0.5, 0.5)


def images() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Matcher]:
    torch.manual_seed(0)
    model = Matcher().eval()
    for parameter in model.parameters():
        # Larger than at the start of a training, so that every part has a visible effect.
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter.data, std=0.2)
    folder = tmp_path_factory.mktemp("blip")
    model.save(folder)
    return folder, model


def test_the_score_is_the_difference_of_transformers_own_logits(
    saved: tuple[Path, Matcher],
) -> None:
    folder, model = saved
    reward = BlipReward(folder, name="blip", mean=HALF, std=HALF)
    for index, prompt in enumerate(PROMPTS):
        # Without padding, so that a mask with a fault gives another score.
        tokens = reward.tokenizer([prompt], return_tensors="pt")
        with torch.no_grad():
            no, yes = model.model(
                input_ids=tokens.input_ids,
                attention_mask=tokens.attention_mask,
                pixel_values=images()[index : index + 1] * 2 - 1,
            ).itm_score[0]
            scores = reward.score(images(), PROMPTS)
        assert float(scores[index]) == pytest.approx(float(yes - no), abs=1e-4)
    assert float(scores.std()) > 0.05


def test_the_training_asks_what_the_reward_answers(saved: tuple[Path, Matcher]) -> None:
    folder, model = saved
    reward = BlipReward(folder, name="blip", mean=HALF, std=HALF)
    with torch.no_grad():
        torch.testing.assert_close(
            model.score(images(), PROMPTS), reward.score(images(), PROMPTS), rtol=1e-4, atol=1e-4
        )


def test_the_score_reads_the_image_and_the_text(saved: tuple[Path, Matcher]) -> None:
    reward = BlipReward(saved[0], name="blip", mean=HALF, std=HALF)
    shown = images().requires_grad_()
    scores = reward.score(shown, PROMPTS)
    (gradient,) = torch.autograd.grad(scores.sum(), shown)
    assert bool((gradient.flatten(1).norm(dim=1) > 0).all())
    with torch.no_grad():
        turned = reward.score(images(), PROMPTS[::-1])
    assert float((turned - scores.detach())[0].abs()) > 1e-3


def test_the_fingerprint_is_that_of_the_folder(saved: tuple[Path, Matcher], tmp_path: Path) -> None:
    folder, model = saved
    with torch.no_grad():
        model.model.itm_head.bias[1] += 0.5
    model.save(tmp_path)
    first, second = (
        BlipReward(place, name="blip", mean=HALF, std=HALF).fingerprint
        for place in (folder, tmp_path)
    )
    assert first != second
