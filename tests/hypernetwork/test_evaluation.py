from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hnbench.generators.base import Conditioning
from hnbench.hypernetwork.evaluation import PairedEvaluation, split_prompts
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.tiny import PROMPTS, mixture


def test_held_out_prompts_are_a_tenth_and_never_trained_on() -> None:
    prompts = [f"prompt {index}" for index in range(40)]
    train, held_out = split_prompts([*prompts, *prompts[:5]], seed=3)
    assert (len(train), len(held_out)) == (36, 4)
    assert sorted(train + held_out) == sorted(prompts)
    assert split_prompts(prompts, seed=3) == (train, held_out)
    assert split_prompts(prompts, seed=4)[1] != held_out
    assert [len(part) for part in split_prompts(prompts[:2], 0)] == [1, 1]
    assert split_prompts(["one"], 0) == (["one"], ["one"])


def test_the_gain_is_the_paired_difference_with_its_error_between_prompts() -> None:
    generator, reward, push = ToyGenerator(), mixture(), 0.3

    def draw(noise: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor]:
        change = push * torch.ones_like(noise)
        return generator.generate(noise + change, conditioning), change

    evaluation = PairedEvaluation(generator, reward, PROMPTS[:3], samples=4, seed=1, batch_size=5)
    found = evaluation.measure(draw)
    gains, norms = [], []
    for task in evaluation.tasks:
        noise, conditioning = evaluation.noises.draw(task)[None], generator.encode([task.prompt])
        after = reward.score(draw(noise, conditioning)[0], [task.prompt])
        gains.append(
            float(after - reward.score(generator.generate(noise, conditioning), [task.prompt]))
        )
        norms.append(float(noise.norm()))
    per_prompt = torch.tensor(gains).view(3, 4).mean(1)
    assert found["gain"] == pytest.approx(sum(gains) / 12, abs=1e-6)
    assert found["gain_standard_error"] == pytest.approx(
        float(per_prompt.std()) / math.sqrt(3), rel=1e-3
    )
    length = push * 32**0.5
    assert found["half_squared_norm"] == pytest.approx(length**2 / 2)
    assert found["relative_change"] == pytest.approx(
        sum(length / norm for norm in norms) / 12, rel=1e-5
    )
    assert (found["prompts"], found["samples"]) == (3, 4)


def test_no_change_has_no_gain_whatever_the_batch() -> None:
    generator = ToyGenerator()
    for size in (1, 4, 100):
        evaluation = PairedEvaluation(
            generator, mixture(), PROMPTS[:1], samples=6, seed=1, batch_size=size
        )
        found = evaluation.measure(
            lambda noise, conditioning: (generator.generate(noise, conditioning), None)
        )
        assert (found["gain"], found["gain_standard_error"], found["half_squared_norm"]) == (
            0,
            0,
            None,
        )
