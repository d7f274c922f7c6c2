from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.catalogue.specifications import make_method
from hnbench.errors import UsageError
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.metering import Meter, MeteredGenerator
from hnbench.methods.hypernoise import HyperNoise
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import TASKS, adapter_folder

NOISES = NoiseSource(0, ToyGenerator.noise_shape)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return adapter_folder(tmp_path / "adapter", "hypernoise")


def test_the_noise_is_the_starting_noise_plus_the_predicted_change(adapter: Path) -> None:
    generator = ToyGenerator()
    outcomes = list(
        HyperNoise(adapter=adapter).propose(TASKS, generator, BrightnessReward(), NOISES)
    )
    network = Hypernetwork(generator, attach(generator, adapter, "hypernoise"))
    assert [(outcome.task, outcome.label, outcome.share) for outcome in outcomes] == [
        (task, "hypernoise", 1.0) for task in TASKS
    ]
    for task, outcome in zip(TASKS, outcomes, strict=True):
        noise, conditioning = NOISES.draw(task)[None], generator.encode([task.prompt])
        chosen = noise + network.displacement(noise, conditioning)
        torch.testing.assert_close(outcome.noise, chosen[0].detach())
        torch.testing.assert_close(
            outcome.image, generator.generate(chosen, conditioning)[0].detach()
        )
        assert not outcome.noise.requires_grad
        assert not outcome.image.requires_grad
        assert outcome.noise.dtype == torch.float32
        assert (outcome.noise - noise[0]).norm() > 0.1


def test_a_task_does_not_depend_on_its_batch(adapter: Path) -> None:
    method = HyperNoise(adapter=adapter)
    together = list(method.propose(TASKS, ToyGenerator(), BrightnessReward(), NOISES))
    for outcome in together:
        (alone,) = method.propose([outcome.task], ToyGenerator(), BrightnessReward(), NOISES)
        torch.testing.assert_close(alone.noise, outcome.noise)


def test_it_costs_two_passes_and_they_are_counted_on_the_generator_it_is_given(
    adapter: Path,
) -> None:
    generator, meter = ToyGenerator(), Meter()
    method = HyperNoise(adapter=adapter)
    method.prepare(generator)
    for _ in range(2):
        list(
            method.propose(
                TASKS, MeteredGenerator(generator, meter, steps=3), BrightnessReward(), NOISES
            )
        )
    assert vars(meter) == {
        "generator_forward": 2 * 4 * len(TASKS),
        "generator_backward": 0,
        "reward_forward": 0,
        "reward_backward": 0,
    }


def test_prepare_loads_and_propose_does_not_load_again(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, method = ToyGenerator(), HyperNoise(adapter=adapter)
    method.prepare(generator)
    monkeypatch.setattr("hnbench.hypernetwork.attached.load_adapter", None)
    assert len(
        list(
            method.propose(TASKS, MeteredGenerator(generator, Meter()), BrightnessReward(), NOISES)
        )
    ) == len(TASKS)


def test_its_identity_is_the_adapters_weights(adapter: Path, tmp_path: Path) -> None:
    same, other = (
        adapter_folder(tmp_path / "same", "hypernoise"),
        adapter_folder(tmp_path / "other", "hypernoise", seed=9),
    )
    assert HyperNoise(adapter=adapter).identity() == {
        "name": "hypernoise",
        "adapter": adapter_sha256(adapter),
    }
    assert HyperNoise(adapter=same).identity() == HyperNoise(adapter=adapter).identity()
    assert HyperNoise(adapter=other).identity() != HyperNoise(adapter=adapter).identity()
    assert make_method(f"hypernoise:adapter={adapter}") == HyperNoise(adapter=adapter)


def test_gradients_are_possible_after_it(adapter: Path) -> None:
    generator = ToyGenerator()
    list(HyperNoise(adapter=adapter).propose(TASKS, generator, BrightnessReward(), NOISES))
    noise = NOISES.batch(TASKS).requires_grad_(True)
    torch.autograd.backward(
        generator.generate(noise, generator.encode([task.prompt for task in TASKS])).sum()
    )
    assert noise.grad is not None


def test_a_finetuning_is_no_hypernetwork(tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "adapter", "finetune")
    with pytest.raises(UsageError, match="'hypernoise' is needed"):
        HyperNoise(adapter=folder).prepare(ToyGenerator())
    with pytest.raises(UsageError, match="holds no adapter"):
        list(
            HyperNoise(adapter=tmp_path).propose(
                [Task("a", "a", 0)], ToyGenerator(), BrightnessReward(), NOISES
            )
        )
