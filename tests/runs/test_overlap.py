"""On a GPU, a batch is saved and judged while the next one is proposed. Here, the CPU is taken for
one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import Tensor

from hnbench.errors import StoreError
from hnbench.methods.base import Outcome
from hnbench.rewards.base import Reward
from hnbench.runs import execute
from hnbench.runs.attempt import Proposer
from hnbench.runs.record import Record, SavedImage
from hnbench.runs.store import RunStore, read_run
from hnbench.seeds import NoiseSource
from hnbench.suites.base import Verdict
from hnbench.tasks import Task
from hnbench.testing.toys import RedReward
from tests.runs.world import Base, Best, WorldJudge, WorldSuite, run, timeless

WAIT = 20.0


@pytest.fixture(autouse=True)
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No operations are counted, which would propose the first task once more."""
    monkeypatch.setattr(Proposer, "flops_of", lambda *_: None)


@pytest.fixture
def overlapping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "has_queue", lambda _: True)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [timeless(record) for record in read_run(folder).records]


@pytest.mark.parametrize("uses_device", [True, False])
def test_the_records_and_their_order_are_those_without_overlap(
    uses_device: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorldJudge, "uses_device", uses_device)
    run(tmp_path / "one")
    monkeypatch.setattr(execute, "has_queue", lambda _: True)
    run(tmp_path / "other")
    assert lines(tmp_path / "one") == lines(tmp_path / "other")
    for record in read_run(tmp_path / "one").records:
        assert record.image is not None
        one, other = (tmp_path / name / record.image.path for name in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


class Events(Base):
    """Notes what happens in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.batches = 0
        self.proposing = threading.Event()

    def propose(self, tasks: Sequence[Task], *models: Any) -> Iterator[Outcome]:
        self.batches += 1
        self.seen.append(f"propose {self.batches}")
        self.proposing.set()
        yield from super().propose(tasks, *models)
        self.proposing.clear()
        self.seen.append(f"proposed {self.batches}")


class NotingStore(RunStore):
    events: Events

    def add(self, record: Record) -> None:
        assert record.image is not None
        assert (self.folder / record.image.path).is_file()
        if not self.events.seen[-1].startswith("record"):
            self.events.seen.append("record")
        super().add(record)


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_batch_is_recorded_after_the_next_proposal_and_before_the_next_rewards(
    overlaps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "has_queue", lambda _: overlaps)
    events = Events()
    NotingStore.events = events
    monkeypatch.setattr("tests.runs.world.RunStore", NotingStore)

    class NotingReward(RedReward):
        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            events.seen.append("rewards")
            return super().score(images, prompts)

    run(tmp_path, [events], held_out=NotingReward())
    before = {False: [], True: ["record"]}[overlaps]
    after = {False: ["record"], True: []}[overlaps]
    assert events.seen == [
        *("propose 1", "proposed 1", "rewards", *after),
        *("propose 2", "proposed 2", *before, "rewards", *after),
        *("propose 3", "proposed 3", *before, "rewards", "record"),
    ]


class WatchedJudge(WorldJudge):
    """Judges a batch only when the next one is being proposed, or refuses to be called then."""

    def __init__(self, events: Events, *, uses_device: bool) -> None:
        super().__init__()
        self.events, self.uses_device = events, uses_device
        self.during: list[bool] = []

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        if not self.uses_device and self.events.batches < 3:
            assert self.events.proposing.wait(WAIT)
        self.during.append(self.events.proposing.is_set())
        return super().judge(images, metadata)


class Waiting(Events):
    """Proposes until the batch before it has been judged."""

    judge: WatchedJudge

    def propose(self, tasks: Sequence[Task], *models: Any) -> Iterator[Outcome]:
        deadline = time.monotonic() + WAIT
        for outcome in super().propose(tasks, *models):
            while (
                time.monotonic() < deadline
                and not self.judge.uses_device
                and len(self.judge.during) < self.batches - 1
            ):
                time.sleep(0.001)
            yield outcome


@pytest.mark.parametrize("uses_device", [False, True])
def test_only_a_judge_that_needs_no_device_works_during_a_proposal(
    uses_device: bool, overlapping: None, tmp_path: Path
) -> None:
    events = Waiting()
    suite = WorldSuite()
    suite.one_judge = events.judge = WatchedJudge(events, uses_device=uses_device)
    assert run(tmp_path, [events], suite=suite).done == 12
    assert events.judge.during == ([False] * 3 if uses_device else [True, True, False])


def test_a_failure_to_save_is_raised_before_the_batch_after_the_next(
    overlapping: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> SavedImage:
        raise StoreError("the disk is full")

    events = Events()
    monkeypatch.setattr(RunStore, "save_image", full)
    with pytest.raises(StoreError, match="the disk is full"):
        run(tmp_path, [events])
    assert events.batches == 2
    assert read_run(tmp_path).records == ()


class Stopped(Best):
    """Is interrupted in its second batch."""

    calls = 0

    def propose(
        self, tasks: Sequence[Task], generator: Any, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return super().propose(tasks, generator, reward, noises)


def test_an_interrupt_loses_no_proposed_batch(overlapping: None, tmp_path: Path) -> None:
    with pytest.raises(execute.Interrupted):
        run(tmp_path, [Base(), Stopped()])
    labels = [record.label for record in read_run(tmp_path).records]
    assert labels.count("random") == 12
    assert labels.count("best-of-2") == labels.count("best-of-4") == 4
    run(tmp_path / "whole", [Base(), Best()])
    run(tmp_path, [Base(), Best()])
    by_id = [
        {record["id"]: record for record in lines(folder)}
        for folder in (tmp_path, tmp_path / "whole")
    ]
    assert by_id[0] == by_id[1]
