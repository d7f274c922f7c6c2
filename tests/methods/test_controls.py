from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.metering import Meter, MeteredGenerator
from hnbench.methods.base import Outcome
from hnbench.methods.controls import PAIRS, OtherNoise, OtherPrompt, RandomDirection, Static
from hnbench.methods.hypernoise import HyperNoise
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
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


SUITE = ["a cat", "a dog", "a fox", *(task.prompt for task in TASKS)]


def test_another_prompts_change_is_that_of_another_prompt_of_the_suite(adapter: Path) -> None:
    generator = ToyGenerator()
    network = Hypernetwork(generator, attach(generator, adapter, "hypernoise"))
    control = OtherPrompt(adapter=adapter).among(SUITE)
    for outcome in outcomes(control):
        other = control.other(outcome.task, NOISES.base_seed)
        assert other in SUITE
        assert other != outcome.task.prompt
        noise = NOISES.draw(outcome.task)
        change = network.displacement(noise[None], generator.encode([other]))[0].detach()
        torch.testing.assert_close(outcome.noise, noise + change)


def test_the_other_prompt_is_any_but_the_own_whatever_the_order(adapter: Path) -> None:
    prompts = ["a", "b", "c", "d"]
    control = OtherPrompt(adapter=adapter).among(prompts)
    turned = OtherPrompt(adapter=adapter).among(prompts[::-1])
    for own in [*prompts, "not of the suite"]:
        tasks = [Task("id", own, sample) for sample in range(400)]
        found = Counter(control.other(task, 0) for task in tasks)
        assert set(found) == set(prompts) - {own}
        # Each of n is as likely as the others: five standard deviations of a binomial count.
        share = 1 / len(found)
        limit = 5 * math.sqrt(400 * share * (1 - share))
        assert all(abs(count - 400 * share) < limit for count in found.values())
        assert [control.other(task, 0) for task in tasks] == [
            turned.other(task, 0) for task in tasks
        ]
    task = Task("id", "a", 0)
    assert len({control.other(task, seed) for seed in range(20)}) > 1


def test_a_suite_of_one_prompt_has_no_other(adapter: Path) -> None:
    generator = ToyGenerator()
    assert OtherPrompt(adapter=adapter).skip(generator) is not None
    assert OtherPrompt(adapter=adapter).among(["a"]).skip(generator) is not None
    assert OtherPrompt(adapter=adapter).among(["a", "b"]).skip(generator) is None
    assert Static(adapter=adapter).skip(generator) == "it needs the prompts of a suite"
    assert Static(adapter=adapter).among(["a"]).skip(generator) is None


def test_the_static_change_is_the_mean_change_and_the_same_for_all(adapter: Path) -> None:
    generator = ToyGenerator()
    network = Hypernetwork(generator, attach(generator, adapter, "hypernoise"))
    prompts = sorted(set(SUITE))
    total = torch.zeros(ToyGenerator.noise_shape, dtype=torch.float64)
    for number in range(PAIRS):
        prompt = prompts[number % len(prompts)]
        task = Task(f"static/{number}", prompt, number // len(prompts))
        noise = NoiseSource(0, ToyGenerator.noise_shape).draw(task, 1_000_002)
        change = network.displacement(noise[None], generator.encode([prompt]))
        total += change[0].detach().double()
    for outcome in outcomes(Static(adapter=adapter).among(SUITE)):
        found = outcome.noise - NOISES.draw(outcome.task)
        torch.testing.assert_close(found, (total / PAIRS).float(), rtol=1e-4, atol=1e-6)


def test_the_mean_is_computed_once_and_before_the_first_image(adapter: Path) -> None:
    meter, bare = Meter(), ToyGenerator()
    control = Static(adapter=adapter).among(SUITE)
    control.prepare(MeteredGenerator(bare, meter))
    assert meter.generator_forward == PAIRS
    list(control.propose(TASKS, MeteredGenerator(bare, meter), BrightnessReward(), NOISES))
    assert meter.generator_forward == PAIRS + len(TASKS)
    # Another suite has another mean.
    Static(adapter=adapter).among(["a"]).prepare(MeteredGenerator(bare, meter))
    assert meter.generator_forward == 2 * PAIRS + len(TASKS)


def test_the_prompts_are_no_part_of_the_identity(adapter: Path) -> None:
    for control in (OtherPrompt(adapter=adapter), Static(adapter=adapter)):
        assert control.among(SUITE).identity() == control.identity()
        assert control.prompts == ()
