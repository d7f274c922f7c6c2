"""Batches in which something was compiled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import hnbench
from hnbench.devices import compilation
from hnbench.generators.base import Conditioning
from hnbench.methods.random import Random
from hnbench.runs.attempt import Models, Proposer
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.toys import RedReward, ToyGenerator


class Compiling(ToyGenerator):
    """Compiles once for each size of batch, as `_Compiled` does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self.batches: list[int] = []

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        compilation._Graphs.tried += len(noise) not in self.seen
        self.seen.add(len(noise))
        self.batches.append(len(noise))
        return super().generate(noise, conditioning, steps)


def test_the_batch_that_is_measured_compiled_nothing() -> None:
    generator = Compiling()
    models = Models(generator, RedReward(), NoiseSource(0, generator.noise_shape), 1)
    told: list[int] = []
    proposer = Proposer(Random(), models, 3, told.append)
    tasks = [Task("a", "a", sample) for sample in range(3)]
    models.warm_up(tasks)
    proposer.flops_of(tasks[0])
    generator.seen.clear()
    generator.batches.clear()
    (attempt,) = proposer.attempts(tasks, set(tasks))
    assert generator.batches == [3, 3]
    assert attempt.meter.generator_forward == 3  # that of one batch
    assert told == [0, 3, 0, 3]


@pytest.fixture
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def failing(*_: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda _: failing)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("without_a_compiler")
def test_a_run_without_a_compiler_is_the_run_without_compile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        hnbench.run(
            "geneval-shapes",
            method="hypernoise",
            limit=2,
            compile=chosen,
            device="cpu",
            out=tmp_path / str(chosen),
        )
        for chosen in (False, True)
    ]
    notes = capsys.readouterr().err
    for part in ("backbone", "image decoder"):
        assert f"hnbench: the {part} of the generator shapes is not compiled: " in notes
    plain, compiled = ({one.id: one.rewards for one in run.records} for run in found)
    assert plain.keys() == compiled.keys()
    for name, rewards in plain.items():
        assert rewards == pytest.approx(compiled[name], abs=1e-3)
    assert [run.manifest["config"]["compile"] for run in found] == [False, True]
