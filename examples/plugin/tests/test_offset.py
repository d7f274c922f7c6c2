from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.errors import UsageError
from hnbench.methods.base import conditioning_of
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing import RedReward, ToyGenerator, check_method
from hnbench_example.adapter import read_adapter, write_adapter
from hnbench_example.offset import Offset
from hnbench_example.training import PROMPTS, train

STEPS = 8


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    path = tmp_path / "offset.safetensors"
    write_adapter(path, train(ToyGenerator(), RedReward(), PROMPTS, steps=STEPS))
    return path


def test_it_keeps_the_contract(adapter: Path) -> None:
    check_method(Offset(adapter=adapter))


def test_training_raises_the_reward_of_prompts_it_did_not_see(adapter: Path) -> None:
    generator, noises = ToyGenerator(), NoiseSource(1, ToyGenerator.noise_shape)
    tasks = [Task(str(sample), "another prompt", sample) for sample in range(32)]
    found = list(Offset(adapter=adapter).propose(tasks, generator, RedReward(), noises))
    base = generator.generate(noises.batch(tasks), conditioning_of(generator, noises, tasks))
    prompts = [task.prompt for task in tasks]
    before = RedReward().score(base, prompts).mean()
    after = RedReward().score(torch.stack([one.image for one in found]), prompts).mean()
    assert after > before + 0.01


def test_the_cost_is_what_was_counted(adapter: Path) -> None:
    training = Offset(adapter=adapter).prepare(ToyGenerator())
    passes = STEPS * 4
    assert training.images == training.generator_forward == training.reward_backward == passes
    assert training.to_json({"a": "A red circle.", "b": "a cow"})["seen_prompts"] == ["a"]


def test_another_generator_is_refused(adapter: Path) -> None:
    with pytest.raises(UsageError, match="trained for another generator"):
        Offset(adapter=adapter).prepare(ToyGenerator(seed=1))


def test_a_generator_with_other_noise_is_skipped(adapter: Path) -> None:
    generator = ToyGenerator()
    generator.noise_shape = (32,)  # type: ignore[assignment]
    assert "needs noise of" in (Offset(adapter=adapter).skip(generator) or "")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "offset.safetensors").write_bytes(b"no weights")
    with pytest.raises(UsageError, match="is not an offset"):
        read_adapter(tmp_path / "offset.safetensors")
