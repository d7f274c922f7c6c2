"""Batch sizes that fit a device, against a device whose memory is a formula. The CPU is taken for a
GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hnbench.errors import StoreError
from hnbench.generators.base import Conditioning
from hnbench.rewards.base import Mixture
from hnbench.runs import batch_sizes
from hnbench.runs.batch_sizes import (
    LARGEST,
    ON_A_CPU,
    SHARE,
    fitting_size,
    largest_fitting,
    run_batch_sizes,
)
from hnbench.testing.toys import BrightnessReward, ToyGenerator

DEVICE = torch.device("cpu")


@dataclass
class Planted:
    """A device of `total` bytes, on which work on n images takes `base + n * each` at its peak."""

    total: int
    base: int
    each: int
    given: list[int] = field(default_factory=list)
    """The numbers of images so far."""

    def work(self, count: int) -> None:
        self.given.append(count)
        if self.base + count * self.each > self.total:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def available(self) -> int:
        return self.total

    def peak_of(self, work: Callable[[], object]) -> int:
        work()
        return self.base + self.given[-1] * self.each


def by_formula(total: int, base: int, each: int) -> int:
    """The largest power of two n with base + n * each <= SHARE * total."""
    fitting = [size for size in (1, 2, 4, 8, 16, 32, 64) if base + size * each <= SHARE * total]
    return max(fitting, default=1)


@pytest.mark.parametrize("total", [1, 99, 1_000, 7_777, 80_000])
@pytest.mark.parametrize("base", [0, 500, 6_000])
@pytest.mark.parametrize("each", [0, 1, 100, 812, 20_000])
def test_it_is_the_largest_power_of_two_that_fits(total: int, base: int, each: int) -> None:
    memory = Planted(total, base, each)
    assert largest_fitting(memory.work, memory) == by_formula(total, base, each)
    assert max(memory.given) <= 2, "no more than two images are tried"


def test_the_bound_is_met_exactly() -> None:
    total = 1000
    assert largest_fitting((one := Planted(total, 0, 100)).work, one) == 8
    assert largest_fitting((one := Planted(total, 1, 100)).work, one) == 4


def test_another_error_is_raised() -> None:
    def broken(_: int) -> None:
        raise RuntimeError("this generator is broken")

    with pytest.raises(RuntimeError, match="broken"):
        largest_fitting(broken, Planted(1, 0, 0))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(batch_sizes, "assets_folder", lambda _: tmp_path)
    return tmp_path / "found.jsonl"


def on_gpu(monkeypatch: pytest.MonkeyPatch, memory: Planted) -> Planted:
    monkeypatch.setattr(batch_sizes, "has_queue", lambda _: True)
    monkeypatch.setattr(batch_sizes, "memory_of", lambda _: memory)
    return memory


def test_on_a_cpu_nothing_is_measured(cache: Path) -> None:
    memory = Planted(1000, 0, 1)
    assert fitting_size({"judge": "one"}, memory.work, DEVICE) == ON_A_CPU
    assert run_batch_sizes(ToyGenerator(), mixture(), "a cat", steps=1, memory="none") == (
        ON_A_CPU,
        ON_A_CPU,
    )
    assert not memory.given
    assert not cache.exists()


def test_a_size_is_remembered_for_exactly_this_work(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = on_gpu(monkeypatch, Planted(1000, 0, 100))
    assert [fitting_size({"judge": "one"}, memory.work, DEVICE) for _ in range(3)] == [8] * 3
    assert memory.given == [1, 1, 2]
    memory.each = 50
    assert fitting_size({"judge": "one"}, memory.work, DEVICE) == 8
    assert fitting_size({"judge": "other"}, memory.work, DEVICE) == 16
    monkeypatch.setattr(batch_sizes, "device_name", lambda _: "another GPU")
    assert fitting_size({"judge": "one"}, memory.work, DEVICE) == 16
    assert len(cache.read_text().splitlines()) == 3


@pytest.mark.parametrize("line", ["", "{}", '{"key": 1}', "\x00", '{"key": "%s", "size": 99999}'])
def test_a_damaged_memory_is_measured_again(
    line: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = on_gpu(monkeypatch, Planted(1000, 0, 100))
    fitting_size({"judge": "one"}, memory.work, DEVICE)
    key = cache.read_text().split('"')[3]
    cache.write_text(line.replace("%s", key) + "\n")
    assert fitting_size({"judge": "one"}, memory.work, DEVICE) == 8
    assert memory.given == [1, 1, 2] * 2


def test_a_memory_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_sizes, "assets_folder", lambda _: tmp_path / "missing")
    memory = on_gpu(monkeypatch, Planted(1000, 0, 100))
    assert fitting_size({"judge": "one"}, memory.work, DEVICE) == 8


def test_work_that_fails_has_the_usual_size_and_is_not_remembered(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu(monkeypatch, Planted(1000, 0, 100))

    def broken(_: int) -> None:
        raise ArithmeticError

    assert fitting_size({"judge": "one"}, broken, DEVICE) == ON_A_CPU
    assert not cache.exists()

    def refused(_: int) -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        fitting_size({"judge": "one"}, refused, DEVICE)


class Heavy(ToyGenerator):
    """Notes its passes on the planted device; with a gradient, an image takes ten times as much."""

    def __init__(self, memory: Planted) -> None:
        super().__init__()
        self.memory = memory
        self.ahead: list[str] = []

    def encode_ahead(self, prompts: Sequence[str]) -> None:
        self.ahead += prompts

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        assert torch.is_grad_enabled() == noise.requires_grad
        self.memory.each = 1000 if noise.requires_grad else 100
        self.memory.work(len(noise))
        return super().generate(noise, conditioning, steps)


def mixture() -> Mixture:
    return Mixture({"brightness": (BrightnessReward(), 1.0)})


@pytest.mark.parametrize(
    ("total", "expected"),
    [(100_000, (64, 64)), (10_000, (64, 8)), (2_500, (16, 2)), (1_000, (8, 1)), (50, (1, 1))],
)
def test_methods_with_a_gradient_have_their_own_size(
    total: int, expected: tuple[int, int], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = on_gpu(monkeypatch, Planted(total, 0, 100))
    generator = Heavy(memory)
    assert run_batch_sizes(generator, mixture(), "a cat", steps=1, memory="none") == expected
    assert generator.ahead == ["a cat"], "the text encoders leave the device first"
    made = len(memory.given)
    assert run_batch_sizes(generator, mixture(), "a dog", steps=1, memory="none") == expected
    assert len(memory.given) == made
    run_batch_sizes(generator, mixture(), "a dog", steps=1, memory="checkpoint-all")
    assert len(memory.given) > made


def test_the_largest_is_a_power_of_two() -> None:
    assert LARGEST.bit_count() == 1
