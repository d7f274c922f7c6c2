from __future__ import annotations

import hashlib
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hnbench.errors import StoreError, UsageError
from hnbench.generators.base import Conditioning, Generator
from hnbench.guards.interrupts import interrupt_deferred
from hnbench.methods.base import Outcome
from hnbench.methods.best_of_n import BestOfN
from hnbench.rewards.base import Reward
from hnbench.runs.execute import Interrupted
from hnbench.runs.plan import Plan
from hnbench.runs.record import Record
from hnbench.runs.store import RunStore, read_run
from hnbench.seeds import NoiseSource
from hnbench.suites.base import Verdict
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator
from tests.runs.world import (
    Base,
    Best,
    Climb,
    Count,
    WorldJudge,
    WorldSuite,
    damaged,
    is_close,
    run,
    timeless,
)

LABELS = ("random", "best-of-2", "best-of-4", "climb")


def by_label(folder: Path) -> dict[str, dict[tuple[str, int], Record]]:
    found: dict[str, dict[tuple[str, int], Record]] = {}
    for record in read_run(folder).records:
        found.setdefault(record.label, {})[record.prompt_id, record.sample] = record
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    summary = run(folder)
    assert (summary.expected, summary.done, summary.failed, summary.new) == (48, 48, 0, 48)
    return folder


def test_every_planned_record_is_there_once(finished: Path) -> None:
    found = by_label(finished)
    assert tuple(found) == LABELS
    assert {len(records) for records in found.values()} == {12}
    lines = [
        line for path in finished.glob("journal-*.jsonl") for line in path.read_text().splitlines()
    ]
    assert len(lines) == 48


def test_rewards_and_verdict_are_those_of_the_saved_file(finished: Path) -> None:
    metadata = {prompt.id: prompt.metadata for prompt in WorldSuite().prompts()}
    for record in read_run(finished).records:
        assert record.image is not None
        image = Image.open(finished / record.image.path)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        brightness = float(BrightnessReward().score(pixels, [record.prompt]))
        red = float(RedReward().score(pixels, [record.prompt]))
        assert record.rewards == pytest.approx(
            {"brightness": brightness, "red": red, "optimised": 2 * brightness}, abs=1e-6
        )
        assert record.verdict == WorldJudge.verdict(image, metadata[record.prompt_id])
        assert (
            record.image.sha256
            == hashlib.sha256((finished / record.image.path).read_bytes()).hexdigest()
        )


def test_the_saved_image_is_the_generated_one_rounded_half_to_even(finished: Path) -> None:
    generator, noises = ToyGenerator(), NoiseSource(0, (2, 4, 4))
    for record in by_label(finished)["random"].values():
        noise = noises.draw(Task(record.prompt_id, record.prompt, record.sample))
        assert record.noise_sha256 == hashlib.sha256(noise.numpy().tobytes()).hexdigest()
        assert record.displacement == 0.0
        assert record.noise_norm == pytest.approx(float(noise.double().norm()))
        exact = (
            generator.generate(noise[None], generator.encode([record.prompt]))[0]
            .permute(1, 2, 0)
            .double()
            .numpy()
            * 255
        )
        assert record.image is not None
        saved = np.array(Image.open(finished / record.image.path)).astype(float)
        assert np.abs(saved - exact).max() <= 0.5 + 1e-4  # a rounding, no truncation


def test_initial_rewards_are_the_bases(finished: Path) -> None:
    found = by_label(finished)
    for label in LABELS:
        for key, record in found[label].items():
            assert record.initial_rewards == found["random"][key].rewards


def test_displacement_is_of_the_chosen_noise(finished: Path) -> None:
    noises = NoiseSource(0, (2, 4, 4))
    moved = 0
    for record in by_label(finished)["best-of-4"].values():
        assert record.trajectory is not None
        task, best = (
            Task(record.prompt_id, record.prompt, record.sample),
            int(np.argmax(record.trajectory)),  # type: ignore[arg-type]
        )
        moved += best != 0
        expected = (noises.draw(task, best).double() - noises.draw(task).double()).norm()
        assert record.displacement == pytest.approx(float(expected))
    assert moved


def test_costs_are_those_counted_by_hand(finished: Path) -> None:
    expected = {
        "random": (1, 0, 0, 0),
        "best-of-2": (2, 0, 2, 0),
        "best-of-4": (4, 0, 4, 0),
        "climb": (3, 3, 3, 3),
    }
    for label, records in by_label(finished).items():
        for record in records.values():
            cost = record.cost
            assert (
                cost.generator_forward,
                cost.generator_backward,
                cost.reward_forward,
                cost.reward_backward,
            ) == expected[label]
            assert cost.seconds > 0
            assert cost.peak_memory_bytes is None
            assert cost.batch_size == 4


def test_several_steps_are_made_and_counted(tmp_path: Path) -> None:
    run(tmp_path, [Base(), Climb()], steps=3, full=False)
    generator, found = ToyGenerator(), by_label(tmp_path)
    assert {record.cost.generator_forward for record in found["random"].values()} == {3}
    assert {record.cost.generator_backward for record in found["climb"].values()} == {9}
    for record in found["random"].values():
        noise = NoiseSource(0, (2, 4, 4)).draw(Task(record.prompt_id, record.prompt, record.sample))
        image = generator.generate(noise[None], generator.encode([record.prompt]), steps=3)
        assert record.rewards["red"] == pytest.approx(float(image[:, 0].mean()), abs=0.5 / 255)


def test_batch_size_changes_no_id_and_no_result(finished: Path, tmp_path: Path) -> None:
    run(tmp_path, batch_size=5)
    one, other = (
        {record.id: timeless(record) for record in read_run(folder).records}
        for folder in (finished, tmp_path)
    )
    assert one.keys() == other.keys()
    for record_id, record in one.items():
        assert is_close({**record, "image": None}, {**other[record_id], "image": None})


def test_the_same_command_again_does_nothing(tmp_path: Path) -> None:
    run(tmp_path, full=False)
    before = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*.*")
        if path.suffix in (".png", ".jsonl")
    }
    progress = Count()
    summary = run(tmp_path, full=False, progress=progress)
    assert summary.new == 0
    assert {
        path: path.read_bytes()
        for path in tmp_path.rglob("*.*")
        if path.suffix in (".png", ".jsonl")
    } == before
    assert progress.calls == [
        ("start", 8),
        ("advance", 8),
        *(("label", name) for name in ("random", "best-of-n", "climb")),
        ("done", None),
    ]


def test_more_methods_and_the_full_protocol_continue_the_same_folder(
    finished: Path, tmp_path: Path
) -> None:
    assert run(tmp_path, [Base()], full=False).new == 2
    assert run(tmp_path, [Base(), Best()], full=False).new == 4
    assert run(tmp_path).new == 48 - 6
    assert {record.id for record in read_run(tmp_path).records} == {
        record.id for record in read_run(finished).records
    }
    manifest = read_run(tmp_path).manifest
    assert len(manifest["sessions"]) == 3
    assert manifest["plan"]["protocol"] == "full"
    assert Plan.from_manifest(manifest).labels == LABELS


def test_progress_adds_up(tmp_path: Path) -> None:
    progress = Count()
    run(tmp_path, progress=progress)
    assert progress.calls[0] == ("start", 48)
    assert sum(count for name, count in progress.calls if name == "advance") == 48
    assert progress.calls[-1] == ("done", None)


def test_a_lost_image_is_made_again(tmp_path: Path) -> None:
    run(tmp_path, full=False)
    record = by_label(tmp_path)["best-of-2"]["dark/0000", 0]
    assert record.image is not None
    (tmp_path / record.image.path).unlink()
    assert damaged(tmp_path) == [record.image.path]
    assert run(tmp_path, full=False).new == 1
    assert damaged(tmp_path) == []


def test_an_overwritten_image_is_found(tmp_path: Path) -> None:
    run(tmp_path, [Base()], full=False)
    record = read_run(tmp_path).records[0]
    assert record.image is not None
    (tmp_path / record.image.path).write_bytes(b"something else")
    assert damaged(tmp_path) == [record.image.path]


# --- the judge and the measured rewards


def test_equal_images_are_judged_and_scored_once(tmp_path: Path) -> None:
    suite = WorldSuite()
    run(tmp_path, [Base(), Best()], suite=suite)
    images = {
        (label, key): record.image
        for label, records in by_label(tmp_path).items()
        for key, record in records.items()
    }
    base = len(
        {image.sha256 for (label, _), image in images.items() if label == "random" and image}
    )
    best = len(
        {
            (key, image.sha256)
            for (label, key), image in images.items()
            if label != "random" and image
        }
    )
    assert len(suite.one_judge.seen) == base + best < len(images)


def test_methods_are_given_no_held_out_reward(tmp_path: Path) -> None:
    class Spy(Base):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            shown = torch.rand(len(tasks), 3, 8, 8)
            prompts = [task.prompt for task in tasks]
            assert torch.equal(
                reward.score(shown, prompts), 2 * BrightnessReward().score(shown, prompts)
            )
            return super().propose(tasks, generator, reward, noises)

    assert run(tmp_path, [Spy()], full=False).failed == 0


# --- failures


class Poisoned(BrightnessReward):
    """Not a number for one prompt."""

    def __init__(self, value: float) -> None:
        self.value = value

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        scores = super().score(images, prompts)
        return torch.where(
            torch.tensor([prompt.endswith("light thing, number 1") for prompt in prompts]),
            self.value,
            scores,
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_fails_its_sample_alone(tmp_path: Path, value: float) -> None:
    summary = run(tmp_path, [Base(), Climb()], reward=Poisoned(value))
    assert (summary.expected, summary.done, summary.failed) == (24, 20, 4)
    found = by_label(tmp_path)
    for record in (*found["random"].values(), *found["climb"].values()):
        assert (record.status == "failed") == (record.prompt_id == "light/0001")
    failed = found["random"]["light/0001", 0]
    assert failed.error is not None
    assert failed.error.message == "the reward brightness, optimised is not finite"
    assert (failed.rewards, failed.verdict, failed.image) == ({}, None, None)
    assert failed.cost.generator_forward == 1
    dependent = found["climb"]["light/0001", 0].error
    assert dependent is not None
    assert dependent.type == "BaseFailed"


def test_failed_samples_are_done_by_the_next_run(finished: Path, tmp_path: Path) -> None:
    assert run(tmp_path, reward=Poisoned(float("nan"))).failed == 8
    summary = run(tmp_path)
    assert (summary.done, summary.failed, summary.new) == (48, 0, 8)
    one, other = (
        {record.id: timeless(record) for record in read_run(folder).records}
        for folder in (finished, tmp_path)
    )
    assert one.keys() == other.keys()
    assert all(is_close({**one[key], "image": None}, {**other[key], "image": None}) for key in one)


@pytest.mark.parametrize("part", ["image", "noise"])
def test_an_outcome_that_is_not_finite_fails_its_sample_alone(tmp_path: Path, part: str) -> None:
    class Broken(Climb):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            for outcome in super().propose(tasks, generator, reward, noises):
                if outcome.task.prompt_id == "dark/0002":
                    getattr(outcome, part).view(-1)[3] = float("nan")
                yield outcome

    summary = run(tmp_path, [Base(), Broken()])
    assert (summary.done, summary.failed) == (22, 2)
    errors = [record.error for record in by_label(tmp_path)["climb"].values() if record.error]
    assert {error.type for error in errors} == {"NotFinite"}
    assert all(part in error.message for error in errors)


def test_a_trajectory_may_have_holes(tmp_path: Path) -> None:
    class Holes(Base):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            for outcome in super().propose(tasks, generator, reward, noises):
                yield Outcome(
                    outcome.task,
                    outcome.label,
                    outcome.image,
                    outcome.noise,
                    1.0,
                    (0.5, float("nan")),
                )

    run(tmp_path, [Holes()], full=False)
    assert {record.trajectory for record in read_run(tmp_path).records} == {(0.5, None)}


def test_an_exception_costs_only_the_sample_that_raises_alone(tmp_path: Path) -> None:
    class Fragile(Climb):
        sizes: list[int] = []  # noqa: RUF012

        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            self.sizes.append(len(tasks))
            if any(task.prompt_id == "light/0000" and task.sample == 1 for task in tasks):
                raise ZeroDivisionError("cannot do this one\nsecond line")
            return super().propose(tasks, generator, reward, noises)

    summary = run(tmp_path, [Base(), Fragile()])
    assert (summary.done, summary.failed) == (23, 1)
    # The first task is proposed alone once, to count its operations.
    assert Fragile.sizes == [1, 4, 4, 1, 1, 1, 1, 4]
    (error,) = [record.error for record in read_run(tmp_path).records if record.status == "failed"]
    assert error is not None
    assert (error.type, error.message) == ("ZeroDivisionError", "cannot do this one")


def test_a_method_that_forgets_a_task_is_found_out(tmp_path: Path) -> None:
    class Forgetful(Base):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            return (
                outcome
                for outcome in super().propose(tasks, generator, reward, noises)
                if outcome.task.prompt_id != "dark/0000"
            )

    summary = run(tmp_path, [Forgetful()], full=False)
    assert (summary.done, summary.failed) == (1, 1)


def test_an_error_for_the_user_stops_the_run(tmp_path: Path) -> None:
    class Refusing(Climb):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            raise UsageError("no such adapter")

    with pytest.raises(UsageError, match="no such adapter"):
        run(tmp_path, [Base(), Refusing()])
    assert {record.label for record in read_run(tmp_path).records} == {"random"}


class Cramped(ToyGenerator):
    """A device that holds few images at a time."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.asked: list[int] = []

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        self.asked.append(len(noise))
        if len(noise) > self.room:
            raise torch.OutOfMemoryError("out of memory")
        return super().generate(noise, conditioning, steps)


def test_out_of_memory_halves_the_batch_and_changes_nothing_else(
    finished: Path, tmp_path: Path
) -> None:
    generator = Cramped(2)
    summary = run(tmp_path, generator=generator, batch_size=8)
    assert summary.done == 48
    one, other = (
        {record.id: record for record in read_run(folder).records}
        for folder in (finished, tmp_path)
    )
    assert {record.cost.batch_size for record in other.values()} == {2}
    assert all(
        is_close({**timeless(one[key]), "image": None}, {**timeless(other[key]), "image": None})
        for key in one
    )
    # Each method finds the size once (8, 4, 2) and keeps it.
    assert Counter(generator.asked)[8] == 3
    assert Counter(generator.asked)[4] == 3


def test_a_search_that_fills_its_passes_gives_the_same_when_memory_runs_out(
    tmp_path: Path,
) -> None:
    found = []
    for room in (100, 3, 1):
        generator = Cramped(room)
        folder = tmp_path / str(room)
        summary = run(folder, [Base(), BestOfN(n=4)], generator=generator, full=False, batch_size=8)
        assert (summary.done, summary.failed) == (6, 0)
        records = {record.id: record for record in read_run(folder).records}
        passes = [
            record.cost.generator_forward
            for record in records.values()
            if record.label == "best-of-4"
        ]
        assert passes == [4, 4]
        found.append({key: timeless(record) for key, record in records.items()})
    assert is_close(found[0], found[1])
    assert is_close(found[0], found[2])


def test_the_passes_of_a_search_are_filled_up_to_the_batch_size(tmp_path: Path) -> None:
    generator = Cramped(100)
    run(tmp_path, [Base(), BestOfN(n=4)], generator=generator, full=False, batch_size=8)
    # Warm-up, base, and four candidates of both tasks in one pass instead of four. The operations
    # of each method are counted first, with one task.
    assert generator.asked == [2, 1, 2, 4, 8]


def test_a_search_of_one_sample_that_does_not_fit_is_halved_down_to_one_image(
    tmp_path: Path,
) -> None:
    generator = Cramped(1)
    run(tmp_path, [Base(), BestOfN(n=8)], generator=generator, full=False, batch_size=8, limit=1)
    assert generator.asked == [1, 1, 1, 8, *[1] * 8, 8, 4, 2, *[1] * 8]


def test_out_of_memory_for_a_single_sample_is_a_failure(tmp_path: Path) -> None:
    summary = run(tmp_path, [Base()], generator=Cramped(0), full=False)
    assert (summary.done, summary.failed) == (0, 2)
    assert {record.error.type for record in read_run(tmp_path).records if record.error} == {
        "OutOfMemoryError"
    }


def test_scoring_halves_when_memory_runs_out(tmp_path: Path) -> None:
    class CrampedReward(RedReward):
        def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            if len(images) > 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().score(images, prompts)

    assert run(tmp_path, [Base(), Best()], held_out=CrampedReward(), full=False).done == 6


# --- the judge's check


class Checked(WorldJudge):
    """Counts its checks, and may fail them."""

    def __init__(self, *, works: bool) -> None:
        super().__init__()
        self.works, self.checks = works, 0

    def verify(self) -> None:
        assert not self.seen
        self.checks += 1
        if not self.works:
            raise UsageError("sees nothing")


def test_a_judge_is_checked_once_and_before_anything_is_made(tmp_path: Path) -> None:
    suite = WorldSuite()
    suite.one_judge = blind = Checked(works=False)
    with pytest.raises(UsageError, match="sees nothing"):
        run(tmp_path, suite=suite, full=False)
    assert blind.checks == 1
    assert {path.name for path in tmp_path.iterdir()} == {".lock", ".lock-gate"}
    suite.one_judge = seeing = Checked(works=True)
    assert run(tmp_path, suite=suite, full=False).done == 8
    assert seeing.checks == 1


def test_a_judge_with_nothing_to_judge_is_not_checked(tmp_path: Path) -> None:
    run(tmp_path, full=False)
    suite = WorldSuite()
    suite.one_judge = blind = Checked(works=False)
    assert run(tmp_path, suite=suite, full=False).new == 0
    assert blind.checks == 0


# --- Ctrl-C


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own handling of Ctrl-C, also where the tests run in the background, with the signal
    ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_while_judging_keeps_the_batch(tmp_path: Path) -> None:
    class Pressing(WorldJudge):
        def judge(
            self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
        ) -> list[Verdict]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().judge(images, metadata)

    suite = WorldSuite()
    suite.one_judge = Pressing()
    progress = Count()
    with pytest.raises(
        Interrupted, match=r"4 records are kept.*Continue with the same command"
    ) as caught:
        run(tmp_path, suite=suite, progress=progress)
    assert caught.value.exit_code == 130
    assert len(read_run(tmp_path).records) == 4
    assert progress.calls[-1] == ("done", None)
    assert run(tmp_path).done == 48


def test_interrupt_while_proposing_drops_the_batch(tmp_path: Path) -> None:
    class Pressing(Base):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            if tasks[0].prompt_id == "light/0000":
                raise KeyboardInterrupt
            return super().propose(tasks, generator, reward, noises)

    with pytest.raises(Interrupted):
        run(tmp_path, [Pressing()], batch_size=2)
    assert {record.prompt_id for record in read_run(tmp_path).records} == {
        "dark/0000",
        "dark/0001",
        "dark/0002",
    }
    with RunStore(tmp_path):
        pass  # the lock was given back


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_is_not_held_back() -> None:
    reached = []

    def press_twice() -> None:
        with interrupt_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after the first")
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert reached == ["after the first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- refusals


def test_another_run_in_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    run(tmp_path, [Base()], full=False)
    with pytest.raises(
        StoreError, match=r"base_seed: 0 there, 7 asked for; .*steps: 1 there, 2 asked for"
    ):
        run(tmp_path, [Base()], full=False, base_seed=7, steps=2)
    with pytest.raises(StoreError, match=r"\(generator: "):
        run(tmp_path, [Base()], full=False, generator=ToyGenerator(seed=1))
    assert len(read_run(tmp_path).manifest["sessions"]) == 1


def test_the_base_must_come_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="random"):
        run(tmp_path, [Climb(), Base()])


def test_the_manifest_says_what_was_measured_with_what(finished: Path) -> None:
    manifest = json.loads((finished / "run.json").read_text())
    assert manifest["schema"] == 3
    assert manifest["suite"] == {
        "name": "world",
        "version": "1",
        "tags": ["dark", "light"],
        "judge": {"name": "world-judge", "fingerprint": WorldJudge().fingerprint},
    }
    assert manifest["generator"] == {
        "name": "toy",
        "fingerprint": ToyGenerator().fingerprint,
        "details": {},
    }
    assert manifest["rewards"]["optimised"] == {"brightness": 2.0}
    assert manifest["rewards"]["fingerprints"] == {
        "brightness": BrightnessReward().fingerprint,
        "red": RedReward().fingerprint,
    }
    assert manifest["plan"]["labels"] == list(LABELS)
    (session,) = manifest["sessions"]
    assert (session["batch_size"], session["device"]) == (4, "cpu")
    assert (
        manifest["environment"]["packages"]["torch"] == torch.__version__.partition("+")[0]
        or manifest["environment"]["packages"]["torch"]
    )
