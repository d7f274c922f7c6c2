from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.metering import Meter, MeteredGenerator
from hnbench.methods.base import Outcome
from hnbench.methods.controls import OtherNoise, RandomDirection
from hnbench.methods.hypernoise import HyperNoise
from hnbench.seeds import NoiseSource
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import TASKS, adapter_folder

NOISES = NoiseSource(0, ToyGenerator.noise_shape)
CONTROLS = [
    (RandomDirection, "hypernoise-random-direction"),
    (OtherNoise, "hypernoise-other-noise"),
]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return adapter_folder(tmp_path / "adapter", "hypernoise")


def outcomes(method: HyperNoise) -> list[Outcome]:
    return list(method.propose(TASKS, ToyGenerator(), BrightnessReward(), NOISES))


def test_a_random_direction_has_the_changes_length_and_nothing_of_its_direction(
    adapter: Path,
) -> None:
    changes, others = [], []
    for real, control, task in zip(
        outcomes(HyperNoise(adapter=adapter)),
        outcomes(RandomDirection(adapter=adapter)),
        TASKS,
        strict=True,
    ):
        start = NOISES.draw(task)
        changes.append(real.noise - start)
        others.append(control.noise - start)
        assert float(others[-1].norm()) == pytest.approx(float(changes[-1].norm()), rel=1e-5)
        expected = NOISES.draw(task, 1_000_001)
        torch.testing.assert_close(others[-1] / others[-1].norm(), expected / expected.norm())
    assert (
        abs(
            float(
                torch.cosine_similarity(
                    torch.stack(changes).flatten(1), torch.stack(others).flatten(1)
                ).mean()
            )
        )
        < 0.4
    )


def test_another_noises_change_is_that_of_candidate_1000002(adapter: Path) -> None:
    generator = ToyGenerator()
    network = Hypernetwork(generator, attach(generator, adapter, "hypernoise"))
    for real, control, task in zip(
        outcomes(HyperNoise(adapter=adapter)),
        outcomes(OtherNoise(adapter=adapter)),
        TASKS,
        strict=True,
    ):
        change = network.displacement(
            NOISES.draw(task, 1_000_002)[None], generator.encode([task.prompt])
        )[0].detach()
        torch.testing.assert_close(control.noise, NOISES.draw(task) + change)
        assert not torch.allclose(control.noise, real.noise)


@pytest.mark.parametrize(("control", "label"), CONTROLS)
def test_controls_repeat_and_are_labelled_and_cost_what_the_real_one_costs(
    control: type[HyperNoise], label: str, adapter: Path
) -> None:
    method, meter = control(adapter=adapter), Meter()
    first, again = (
        outcomes(method),
        list(
            method.propose(
                TASKS, MeteredGenerator(ToyGenerator(), meter), BrightnessReward(), NOISES
            )
        ),
    )
    assert all(torch.equal(one.image, two.image) for one, two in zip(first, again, strict=True))
    assert [outcome.label for outcome in first] == [label] * len(TASKS)
    assert method.labels == (label,)
    assert method.identity()["name"] == label
    assert meter.generator_forward == 2 * len(TASKS)


@pytest.mark.parametrize(("control", "label"), CONTROLS)
def test_a_task_does_not_depend_on_its_batch(
    control: type[HyperNoise], label: str, adapter: Path
) -> None:
    for outcome in outcomes(control(adapter=adapter)):
        (alone,) = control(adapter=adapter).propose(
            [outcome.task], ToyGenerator(), BrightnessReward(), NOISES
        )
        assert alone.label == label
        torch.testing.assert_close(alone.noise, outcome.noise)
