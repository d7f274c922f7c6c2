from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.errors import UsageError
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.metering import Meter, MeteredGenerator
from hnbench.methods.finetune import FineTuned
from hnbench.methods.hypernoise import HyperNoise
from hnbench.seeds import NoiseSource
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import TASKS, adapter_folder

NOISES = NoiseSource(0, ToyGenerator.noise_shape)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return adapter_folder(tmp_path / "adapter", "finetune")


def test_the_noise_stays_and_the_image_is_the_adapted_networks(adapter: Path) -> None:
    generator = ToyGenerator()
    outcomes = list(
        FineTuned(adapter=adapter).propose(TASKS, generator, BrightnessReward(), NOISES)
    )
    base = generator.generate(
        NOISES.batch(TASKS), generator.encode([task.prompt for task in TASKS])
    )
    with attach(generator, adapter, "finetune").active():
        expected = generator.generate(
            NOISES.batch(TASKS), generator.encode([task.prompt for task in TASKS])
        )
    assert [(outcome.task, outcome.label) for outcome in outcomes] == [
        (task, "finetune") for task in TASKS
    ]
    for row, outcome in enumerate(outcomes):
        assert torch.equal(outcome.noise, NOISES.draw(TASKS[row]))
        assert torch.equal(outcome.image, expected[row].detach())
        assert (outcome.image - base[row]).abs().max() > 1e-3


def test_it_costs_one_pass(adapter: Path) -> None:
    meter = Meter()
    list(
        FineTuned(adapter=adapter).propose(
            TASKS, MeteredGenerator(ToyGenerator(), meter), BrightnessReward(), NOISES
        )
    )
    assert (meter.generator_forward, meter.generator_backward, meter.reward_forward) == (
        len(TASKS),
        0,
        0,
    )


def test_it_shares_a_backbone_with_a_hypernetwork(adapter: Path, tmp_path: Path) -> None:
    generator, hypernoise = (
        ToyGenerator(),
        adapter_folder(tmp_path / "hypernoise", "hypernoise", seed=3),
    )
    tuned, changed = FineTuned(adapter=adapter), HyperNoise(adapter=hypernoise)
    alone = [
        list(method.propose(TASKS, ToyGenerator(), BrightnessReward(), NOISES))
        for method in (tuned, changed)
    ]
    shared = [
        list(method.propose(TASKS, generator, BrightnessReward(), NOISES))
        for method in (tuned, changed)
    ]
    again = list(tuned.propose(TASKS, generator, BrightnessReward(), NOISES))
    for one, two in zip(
        [*alone[0], *alone[1], *alone[0]], [*shared[0], *shared[1], *again], strict=True
    ):
        assert torch.equal(one.image, two.image)


def test_its_identity_and_kind(adapter: Path, tmp_path: Path) -> None:
    assert FineTuned(adapter=adapter).identity() == {
        "name": "finetune",
        "adapter": adapter_sha256(adapter),
    }
    with pytest.raises(UsageError, match="'finetune' is needed"):
        FineTuned(adapter=adapter_folder(tmp_path / "other", "hypernoise")).prepare(ToyGenerator())
