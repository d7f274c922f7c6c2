"""The floating-point operations in records, against counts by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hnbench.generators.base import Generator
from hnbench.methods.base import Method, Outcome
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.finetune import FineTuned
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Reward
from hnbench.runs.attempt import COUNTS, Attempt, Models, Proposer
from hnbench.runs.record import Failure
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import adapter_folder
from tests.methods.linear import LinearGenerator, LinearReward
from tests.runs.test_execute import by_label
from tests.runs.world import Base, Best, Climb, run

TASKS = [Task(f"p{index}", f"prompt {index}", 0) for index in range(3)]

# The linear generator multiplies 12 numbers by a matrix, the linear reward by a vector. A backward
# pass through both is a product with the transposed matrix, and an element-wise one.
IMAGE, SCORE, IMAGE_BACK = 2 * 12 * 12, 2 * 12, 2 * 12 * 12

# The toy generator on 4x4 places: a convolution from 2 to 8 channels, a linear layer from 4 to 8, a
# convolution back, and a product from 2 to 3 colours.
CONV, TEXT, COLOURS = 2 * 16 * 9 * 2 * 8, 2 * 4 * 8, 2 * 16 * 2 * 3
STEP = CONV + TEXT + CONV
TOY = STEP + COLOURS
TOY_BACK = COLOURS + CONV + CONV
# A LoRA of rank 4 on its three layers: 3x3 then 1x1, or 4 to 4 to 8.
LORA = (
    (2 * 16 * 9 * 2 * 4 + 2 * 16 * 4 * 8)
    + (2 * 4 * 4 + 2 * 4 * 8)
    + (2 * 16 * 9 * 8 * 4 + 2 * 16 * 4 * 2)
)


def attempts(
    method: Method, generator: Generator, reward: Reward, batch: int = 3, steps: int = 1
) -> list[Attempt]:
    models = Models(generator, reward, NoiseSource(0, generator.noise_shape), steps)
    method.prepare(generator)
    proposer = Proposer(method, models, batch)
    groups = [TASKS[start : start + batch] for start in range(0, len(TASKS), batch)]
    return [one for group in groups for one in proposer.attempts(group, set(group))]


def linear() -> tuple[Generator, Reward]:
    """Images are black, because values below 0 are refused."""
    return LinearGenerator(torch.zeros(12, 12)), LinearReward(torch.ones(12))


def flops_of(found: Sequence[Attempt]) -> dict[str, set[float | None]]:
    """Label -> the operations in the costs of its images."""
    costs: dict[str, set[float | None]] = {}
    for attempt in found:
        for (_, label), outcome in attempt.outcomes.items():
            share = outcome.share if not isinstance(outcome, Failure) else 1.0
            costs.setdefault(label, set()).add(attempt.cost(share).flops)
    return costs


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_random_is_one_image(batch: int) -> None:
    assert flops_of(attempts(Random(), *linear(), batch)) == {"random": {IMAGE}}


def test_nested_budgets_of_best_of_n_have_their_share() -> None:
    found = flops_of(attempts(BestOfN(n=6), *linear()))
    assert found == {f"best-of-{n}": {n * (IMAGE + SCORE)} for n in (2, 4, 6)}


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_reno_is_its_forward_and_backward_passes(iterations: int) -> None:
    found = flops_of(attempts(ReNO(iterations=iterations), *linear()))
    forward, backward = iterations * (IMAGE + SCORE), (iterations - 1) * IMAGE_BACK
    assert found == {"reno": {forward + backward}}


@pytest.mark.parametrize("steps", [1, 3])
def test_hypernoise_is_a_backbone_with_lora_and_one_image(tmp_path: Path, steps: int) -> None:
    method = HyperNoise(adapter=adapter_folder(tmp_path / "adapter", "hypernoise"))
    found = flops_of(attempts(method, ToyGenerator(), BrightnessReward(), steps=steps))
    # The last layer's own output is not computed: the change of the noise is its LoRA alone.
    assert found == {"hypernoise": {(CONV + TEXT + LORA) + (steps * STEP + COLOURS)}}


def test_finetune_is_one_image_with_lora(tmp_path: Path) -> None:
    method = FineTuned(adapter=adapter_folder(tmp_path / "adapter", "finetune"))
    found = flops_of(attempts(method, ToyGenerator(), BrightnessReward()))
    assert found == {"finetune": {TOY + LORA}}


def test_a_run_writes_them(tmp_path: Path) -> None:
    run(tmp_path, full=False)
    found = {
        label: {record.cost.flops for record in records.values()}
        for label, records in by_label(tmp_path).items()
    }
    assert found == {
        "random": {TOY},
        "best-of-2": {2 * TOY},
        "best-of-4": {4 * TOY},
        "climb": {3 * (TOY + TOY_BACK)},
    }


def test_seven_digits_are_kept() -> None:
    attempt = replace(attempts(Random(), *linear())[0], flops=123456789)
    assert attempt.cost(0.5).flops == 61728390
    assert attempt.cost().flops == 123456800


class Noting(Random):
    """Notes the sizes of its batches."""

    def __init__(self) -> None:
        object.__setattr__(self, "sizes", [])

    def propose(self, tasks: Sequence[Task], *models: Any) -> Iterator[Outcome]:
        self.sizes.append(len(tasks))  # type: ignore[attr-defined]
        return super().propose(tasks, *models)


def test_one_task_is_proposed_once_more_and_its_passes_do_not_count() -> None:
    method = Noting()
    found = attempts(method, *linear(), 2)
    assert method.sizes == [1, 2, 1]  # type: ignore[attr-defined]
    assert [attempt.meter.generator_forward for attempt in found] == [2, 1]


class Uncountable(Random):
    """Fails under a counter: it does not like a batch of one, or not the first few of them."""

    def __init__(self, failures: int) -> None:
        object.__setattr__(self, "left", failures)

    def propose(self, tasks: Sequence[Task], *models: Any) -> Iterator[Outcome]:
        if len(tasks) == 1 and self.left:  # type: ignore[attr-defined]
            object.__setattr__(self, "left", self.left - 1)  # type: ignore[attr-defined]
            raise torch.OutOfMemoryError("out of memory, alone")
        return super().propose(tasks, *models)


def test_a_count_that_fails_is_not_an_error() -> None:
    found = attempts(Uncountable(100), *linear())
    assert flops_of(found) == {"random": {None}}
    assert all(not isinstance(one, Failure) for one in found[0].outcomes.values())


def test_it_is_tried_again_a_few_times() -> None:
    """Each time with full passes and with single images."""
    method, (generator, reward) = Uncountable(100), linear()
    models = Models(generator, reward, NoiseSource(0, generator.noise_shape), 1)
    proposer = Proposer(method, models, 3)
    for _ in range(COUNTS + 2):
        list(proposer.attempts(TASKS, set(TASKS)))
    assert method.left == 100 - 2 * COUNTS  # type: ignore[attr-defined]
    proposer = Proposer(Uncountable(2 * (COUNTS - 1)), models, 3)
    found = [one for _ in range(COUNTS) for one in proposer.attempts(TASKS, set(TASKS))]
    assert [attempt.flops for attempt in found] == [None] * (COUNTS - 1) + [IMAGE]


class Broken(Random):
    """Fails for the first prompt."""

    def propose(self, tasks: Sequence[Task], *models: Any) -> Iterator[Outcome]:
        if TASKS[0] in tasks:
            raise ZeroDivisionError
        return super().propose(tasks, *models)


def test_a_first_task_that_always_fails_does_not_hide_the_others() -> None:
    found = {attempt.tasks[0]: attempt.flops for attempt in attempts(Broken(), *linear())}
    assert found == {TASKS[0]: None, TASKS[1]: IMAGE, TASKS[2]: IMAGE}


class Encoding(ToyGenerator):
    """Encodes text by a product, and keeps what it has encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Tensor] = {}

    def encode(self, prompts: Sequence[str]) -> Any:
        for prompt in prompts:
            if prompt not in self.known:
                self.known[prompt] = super().encode([prompt]).tensors["text"] @ torch.eye(4)
        found = super().encode(prompts)
        return type(found)({"text": torch.cat([self.known[prompt] for prompt in prompts])})


def test_text_is_encoded_before_and_is_nobodys_cost() -> None:
    assert flops_of(attempts(Random(), Encoding(), BrightnessReward())) == {"random": {TOY}}


def test_all_methods_of_the_world_are_counted(tmp_path: Path) -> None:
    """A continued run has the same numbers: they are of the method, not of the session."""
    for methods in ([Base()], [Base(), Best(), Climb()]):
        run(tmp_path, methods, full=False)
    assert all(
        record.cost.flops is not None
        for records in by_label(tmp_path).values()
        for record in records.values()
    )
