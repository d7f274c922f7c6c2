"""Batches are laid by the plan: an interrupted and continued run equals an uninterrupted one to the
bit, times and memory aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hnbench.catalogue.loading import load_generator, load_mixture, load_reward
from hnbench.catalogue.presets import preset_of
from hnbench.config import RunConfig
from hnbench.generators.base import Conditioning, Generator
from hnbench.methods.base import Method
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.runs.execute import execute
from hnbench.runs.experiment import Experiment
from hnbench.runs.preparation import prepare
from hnbench.runs.record import Record
from hnbench.runs.store import RunStore, read_run
from hnbench.suites.shapes import ShapesSuite
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator
from tests.runs.world import CONFIG, Base, Best, Climb, Count, WorldSuite, damaged, run


def but_for_time(folder: Path) -> dict[str, Any]:
    """Every record's JSON by id, without times and memory."""
    found = {}
    for record in read_run(folder).records:
        value = record.to_json()
        del value["cost"]["seconds"], value["written"]
        found[record.id] = value
    return found


class Stopping(RunStore):
    """Is interrupted when so many records were added."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self._left = after

    def add(self, record: Record) -> None:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        super().add(record)


class Neighbourly(ToyGenerator):
    """Every image depends a little on all images that are made with it, so that any other batch is
    seen at once.
    """

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        images = super().generate(noise, conditioning, steps)
        return (images + 0.05 * images.detach().mean()) / 1.05


class NeighbourlyReward(RedReward):
    """And so does every score."""

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return super().score(images, prompts) + images.mean() + len(images)


def toys(folder: Path, after: int = -1, **changes: Any) -> None:
    """A run of the toys that is interrupted after so many records; -1: never."""
    given = {
        "generator": Neighbourly(),
        "reward": BrightnessReward(),
        "methods": [Base(), Best(), Climb()],
        **changes,
    }
    with Stopping(folder, after) as store:
        experiment = Experiment(
            replace(CONFIG, batch_size=5),
            WorldSuite(),
            given["generator"],
            Mixture({"brightness": (given["reward"], 2.0)}),
            [NeighbourlyReward()],
            prepare(given["methods"], given["generator"], {}),
        )
        execute(experiment, store, Count())


def interrupted(after: int, folder: Path, **changes: Any) -> None:
    with pytest.raises(Exception, match="interrupted"):
        toys(folder, after, **changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    toys(folder)
    return but_for_time(folder)


@pytest.mark.parametrize("after", range(0, 48, 7))
def test_a_continued_run_is_the_uninterrupted_one(
    tmp_path: Path, whole: dict[str, Any], after: int
) -> None:
    interrupted(after, tmp_path)
    assert len(read_run(tmp_path).records) == after
    toys(tmp_path)
    assert but_for_time(tmp_path) == whole
    assert damaged(tmp_path) == []


def test_one_that_is_interrupted_again_and_again_is_too(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    for _ in range(16):
        try:
            toys(tmp_path, 3)
        except Exception as error:  # noqa: BLE001
            assert "interrupted" in str(error)  # noqa: PT017
    assert but_for_time(tmp_path) == whole


class Cramped(Neighbourly):
    """Holds three images at a time."""

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        if len(noise) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return super().generate(noise, conditioning, steps)


class Brittle(Climb):
    """Raises for one sample, so that its batch is done one by one."""

    def propose(
        self, tasks: Sequence[Any], generator: Generator, reward: Reward, noises: Any
    ) -> Iterator[Any]:
        if any(task.prompt_id == "dark/0002" for task in tasks):
            raise ZeroDivisionError("not this one")
        return super().propose(tasks, generator, reward, noises)


FAULTS: dict[str, dict[str, Any]] = {
    "memory": {"generator": Cramped()},
    "a sample": {"methods": [Base(), Brittle()]},
}


@pytest.fixture(scope="module")
def whole_despite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """The uninterrupted run with a fault."""

    @cache
    def made(fault: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("despite")
        toys(folder, **FAULTS[fault])
        return but_for_time(folder)

    return made


@pytest.mark.parametrize("after", [2, 4, 9, 14, 19, 23])
@pytest.mark.parametrize("fault", FAULTS)
def test_halved_and_failing_batches_lie_where_they_lay(
    tmp_path: Path, whole_despite: Callable[[str], dict[str, Any]], fault: str, after: int
) -> None:
    interrupted(after, tmp_path, **FAULTS[fault])
    toys(tmp_path, **FAULTS[fault])
    whole = whole_despite(fault)
    assert but_for_time(tmp_path) == whole
    if fault == "memory":
        assert sorted({value["cost"]["batch_size"] for value in whole.values()}) == [2, 3]


def test_halves_do_not_depend_on_where_a_run_began() -> None:
    """Whatever is wanted of a batch, the same tasks go together."""
    from hnbench.runs.attempt import Models, Proposer
    from hnbench.seeds import NoiseSource
    from hnbench.tasks import Task

    tasks = [Task(f"p{index}", f"prompt {index}", 0) for index in range(7)]

    def together(wanted: set[Any]) -> dict[Any, tuple[Any, ...]]:
        models = Models(Cramped(), BrightnessReward(), NoiseSource(0, (2, 4, 4)), 1)
        proposer = Proposer(Base(), models, 7)
        return {
            task: tuple(attempt.tasks)
            for attempt in proposer.attempts(tasks, wanted)
            for task in attempt.tasks
            if task in wanted
        }

    everything = together(set(tasks))
    assert everything.keys() == set(tasks)
    for task in tasks:
        assert together({task}) == {task: everything[task]}


# --- the real thing


def shapes(folder: Path, batch_size: int, after: int = -1) -> None:
    """The embedded world: text encoders, a U-Net, and rewards that are networks; prompts that span
    two batches.
    """
    config = RunConfig(
        suite="geneval-shapes",
        generator="shapes",
        optimised={"shapes-clip": 1.0},
        held_out=("shapes-resnet",),
        methods=("random", "best-of-n:n=2", "reno:iterations=3", "hypernoise"),
        limit=6,
        batch_size=batch_size,
    )
    methods: list[Method] = [
        Random(),
        BestOfN(n=2),
        ReNO(iterations=3),
        HyperNoise(adapter=Path(preset_of("shapes").adapters["hypernoise"])),
    ]
    generator = load_generator("shapes", "cpu", "float32")
    with Stopping(folder, after) as store:
        experiment = Experiment(
            config,
            ShapesSuite(),
            generator,
            load_mixture(config.optimised, "cpu", "float32"),
            [load_reward("shapes-resnet", "cpu", "float32")],
            prepare(methods, generator, {}),
        )
        execute(experiment, store, Count())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    shapes(folder, 5)
    return folder


@pytest.mark.parametrize("after", [3, 17])
def test_a_continued_run_of_networks_is_the_uninterrupted_one(
    tmp_path: Path, drawn: Path, after: int
) -> None:
    with pytest.raises(Exception, match="interrupted"):
        shapes(tmp_path, 5, after)
    shapes(tmp_path, 5)
    assert but_for_time(tmp_path) == but_for_time(drawn)


def test_another_batch_size_changes_results_to_rounding_only(tmp_path: Path, drawn: Path) -> None:
    """How much: pixels by one of 255 levels, rewards by what such a level makes of them; the plan
    and its noises not at all.
    """
    shapes(tmp_path, 8)
    one, other = (
        {record.id: record for record in read_run(folder).records} for folder in (drawn, tmp_path)
    )
    assert one.keys() == other.keys()
    levels, rewards, verdicts = 0, 0.0, 0
    for key, record in one.items():
        assert record.noise_sha256 == other[key].noise_sha256
        pictures = [
            np.asarray(Image.open(folder / f"images/{key[:2]}/{key}.png")).astype(int)
            for folder in (drawn, tmp_path)
        ]
        levels = max(levels, int(np.abs(pictures[0] - pictures[1]).max()))
        rewards = max(
            rewards,
            *(abs(value - other[key].rewards[name]) for name, value in record.rewards.items()),
        )
        verdicts += record.verdict != other[key].verdict
    assert levels <= 1
    assert rewards <= 0.01
    assert verdicts == 0


def test_a_larger_plan_keeps_what_is_done(tmp_path: Path) -> None:
    """Batches of a plan that grew lie elsewhere: what is done stays as it is, and the rest is
    added.
    """
    run(tmp_path, full=True, limit=3, batch_size=4)
    before = but_for_time(tmp_path)
    assert run(tmp_path, full=True, batch_size=4).done == 48
    after = but_for_time(tmp_path)
    assert {key: after[key] for key in before} == before
