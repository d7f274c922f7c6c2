"""Plug-ins that misbehave: what they give is recorded as failed, by name, and never as a wrong
number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hnbench.errors import PluginError, UsageError
from hnbench.generators.base import Conditioning, Generator
from hnbench.methods.base import Method, Outcome
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.runs.attempt import attempted, in_chunks
from hnbench.runs.record import Failure, Record
from hnbench.runs.store import read_run
from hnbench.runs.tally import Tally
from hnbench.seeds import NoiseSource
from hnbench.suites.base import Verdict
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator
from tests.hostile import TEXTS
from tests.runs.world import Base, Best, Climb, WorldJudge, WorldSuite, run, timeless

Wrong = Callable[[Tensor], Any]
BAD = "a light thing, number 1"
"""The prompt that the broken parts here fail for."""


def failed(folder: Path) -> list[Record]:
    return [record for record in read_run(folder).records if record.status == "failed"]


def messages(folder: Path) -> set[str]:
    return {
        record.error.message
        for record in failed(folder)
        if record.error and record.error.type != "BaseFailed"
    }


def replaced(outcome: Outcome, **changes: Any) -> Outcome:
    return dataclasses.replace(outcome, **changes)


def small(folder: Path, methods: Sequence[Method], **changes: Any) -> Tally:
    """Two prompts of each tag, one image of each: a batch."""
    return run(folder, methods, **{"suite": WorldSuite(per_tag=2, samples=1), **changes})


def raising(error: BaseException) -> Any:
    raise error


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError("no words")


# --- in_chunks and attempted


ANSWERS: list[Any] = [
    [],
    [1],
    [1, 2, 3, 4],
    None,
    "abc",
    3,
    iter([1, 2, 3]),
    {1: 1, 2: 2, 3: 3},
    {1, 2, 3},
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_another_number_of_results_is_an_error_with_a_name(answer: Any) -> None:
    with pytest.raises(PluginError, match=r"^the judge odd gave "):
        in_chunks(lambda _: answer, [1, 2, 3], 3, "the judge odd")


def test_a_short_answer_shifts_nothing() -> None:
    """The fault: [1, 2, 3, 4, 4] came of it."""
    with pytest.raises(PluginError, match="4 answers for 5 items"):
        in_chunks(lambda chunk: list(chunk)[1:] or list(chunk), [0, 1, 2, 3, 4], 5)


def test_batches_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="batches of 0 items"):
        in_chunks(list, [1, 2], 0)


def test_what_fails_alone_is_a_failure_in_its_place() -> None:
    asked = []

    def function(chunk: Sequence[int]) -> list[int]:
        asked.append(list(chunk))
        if 3 in chunk:
            raise KeyError(3)
        return [10 * item for item in chunk]

    assert attempted(function, [0, 1, 2, 3, 4, 5], 2, "it") == [
        0,
        10,
        20,
        Failure(type="KeyError", message="3"),
        40,
        50,
    ]
    assert asked == [[0, 1], [2, 3], [2], [3], [4, 5]]


@pytest.mark.parametrize("error", [UsageError("no such file"), KeyboardInterrupt()])
def test_what_only_the_user_can_mend_passes(error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempted(lambda _: raising(error), [1, 2], 2, "it")


@pytest.mark.parametrize("text", TEXTS)
def test_a_failure_is_one_printable_line(text: str) -> None:
    (failure,) = attempted(lambda _: raising(ValueError(text)), [1], 1, "it")
    assert isinstance(failure, Failure)
    assert failure.message.isprintable()
    assert len(failure.message) <= 500


# --- rewards


SCORES: dict[str, Wrong] = {
    "raises": lambda _: raising(ValueError("no score today")),
    "asks to exit": lambda _: raising(SystemExit(0)),
    "raises without words": lambda _: raising(Unspeakable()),
    "none": lambda _: None,
    "a list": lambda scores: scores.tolist(),
    "numpy": lambda scores: scores.detach().numpy(),
    "[B, 1]": lambda scores: scores[:, None],
    "[1, B]": lambda scores: scores[None],
    "a scalar": lambda scores: scores.mean(),
    "too few": lambda scores: scores[1:],
    "too many": lambda scores: torch.cat([scores, scores]),
    "meta": lambda scores: torch.empty(len(scores), device="meta"),
    "complex": lambda scores: scores.to(torch.complex64),
    "whole numbers": lambda scores: torch.ones(len(scores), dtype=torch.int64),
    "truth values": lambda scores: torch.ones(len(scores), dtype=torch.bool),
    "sparse": lambda scores: torch.ones(len(scores)).to_sparse(),
}
NOT_FINITE: dict[str, Wrong] = {
    "nan": lambda scores: scores * math.nan,
    "infinite": lambda scores: scores / 0,
    "of an infinite total": lambda scores: scores.double() * 0 + 1.7e308,
}


class WrongScores(BrightnessReward):
    """Goes wrong for one prompt, or for all of them."""

    def __init__(self, wrong: Wrong, *, always: bool = False, name: str = "odd") -> None:
        self._wrong, self._always, self.name = wrong, always, name

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        scores = super().score(images, prompts)
        if self._always or BAD in prompts:
            return self._wrong(scores)  # type: ignore[no-any-return]
        return scores


@pytest.mark.parametrize("wrong", SCORES.values(), ids=SCORES)
def test_a_held_out_reward_fails_its_own_samples(tmp_path: Path, wrong: Wrong) -> None:
    summary = small(tmp_path, [Base(), Climb()], held_out=WrongScores(wrong))
    assert (summary.expected, summary.done, summary.failed) == (8, 6, 2)
    assert {record.prompt for record in failed(tmp_path)} == {BAD}
    again = small(tmp_path, [Base(), Climb()], held_out=WrongScores(lambda scores: scores))
    assert (again.done, again.failed, again.new) == (8, 0, 2)


@pytest.mark.parametrize("wrong", SCORES.values(), ids=SCORES)
def test_an_optimised_reward_fails_its_own_samples(tmp_path: Path, wrong: Wrong) -> None:
    summary = small(
        tmp_path, [Base(), Best(), Climb()], reward=WrongScores(wrong), held_out=RedReward()
    )
    assert (summary.done, summary.failed) == (12, 4)
    assert {record.prompt for record in failed(tmp_path)} == {BAD}


@pytest.mark.parametrize(
    "wrong", [name for name in SCORES if "rais" not in name and "exit" not in name]
)
def test_the_message_names_the_reward(tmp_path: Path, wrong: str) -> None:
    summary = small(tmp_path, [Base()], held_out=WrongScores(SCORES[wrong], always=True))
    assert (summary.done, summary.failed) == (0, 4)
    (message,) = messages(tmp_path)
    assert message.startswith("the reward odd gave ")
    assert summary.commonest == f"4 times {message}"


@pytest.mark.parametrize("wrong", NOT_FINITE.values(), ids=NOT_FINITE)
def test_numbers_that_are_not_finite_are_no_scores(tmp_path: Path, wrong: Wrong) -> None:
    summary = small(tmp_path, [Base()], reward=WrongScores(wrong, always=True))
    assert (summary.done, summary.failed) == (0, 4)
    assert {record.error.type for record in failed(tmp_path) if record.error} == {"NotFinite"}


def test_a_part_of_a_mixture_is_named() -> None:
    mixture = Mixture(
        {
            "brightness": (BrightnessReward(), 1.0),
            "odd": (WrongScores(lambda scores: scores[:, None], always=True), 1.0),
        }
    )
    with pytest.raises(
        PluginError, match=r"the reward odd gave scores of shape \[2, 1\] for 2 images"
    ):
        mixture.score(torch.rand(2, 3, 8, 8), ["a", "b"])


@pytest.mark.parametrize("mixed", [False, True])
def test_reno_refuses_a_reward_without_gradient(tmp_path: Path, *, mixed: bool) -> None:
    """The fault: the regulariser alone moved the noise, and the run was well."""
    reward = WrongScores(Tensor.detach, always=True)
    tasks, generator, noises = [Task("a", "a", 0)], ToyGenerator(), NoiseSource(0, (2, 4, 4))
    whole = (
        Mixture({"odd": (reward, 1.0), "brightness": (BrightnessReward(), 1.0)})
        if mixed
        else reward
    )
    with pytest.raises(PluginError, match="the reward odd gave no gradient"):
        list(ReNO(iterations=2).propose(tasks, generator, whole, noises))
    summary = small(tmp_path, [Base(), ReNO(iterations=2)], reward=reward)
    assert (summary.done, summary.failed) == (4, 4)
    assert summary.commonest.startswith("4 times the reward brightness gave no gradient")


# --- judges


def verdict(**changes: Any) -> Verdict:
    """A verdict with wrong fields, as a class of one's own could make it."""
    made = Verdict(True)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made


loop: dict[str, Any] = {}
loop["loop"] = loop
deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]

VERDICTS: dict[str, Callable[[list[Verdict]], Any]] = {
    "raises": lambda _: raising(ValueError("cannot see")),
    "asks to exit": lambda _: raising(SystemExit(0)),
    "out of memory": lambda _: raising(torch.OutOfMemoryError("CUDA out of memory")),
    "none": lambda _: None,
    "nothing": lambda _: [],
    "too few": lambda verdicts: verdicts[1:],
    "too many": lambda verdicts: [*verdicts, verdicts[0]],
    "an iterator": iter,
    "nones": lambda verdicts: [None for _ in verdicts],
    "truth values": lambda verdicts: [True for _ in verdicts],
    "dictionaries": lambda verdicts: [{"correct": True} for _ in verdicts],
    "correct is text": lambda verdicts: [verdict(correct="yes") for _ in verdicts],
    "correct is 1": lambda verdicts: [verdict(correct=1) for _ in verdicts],
    "correct is numpy's": lambda verdicts: [verdict(correct=np.bool_(True)) for _ in verdicts],
    "neither correct nor score": lambda verdicts: [verdict(correct=None) for _ in verdicts],
    "score is nan": lambda verdicts: [verdict(score=math.nan) for _ in verdicts],
    "score is made as nan": lambda verdicts: [Verdict(True, score=math.nan) for _ in verdicts],
    "score is text": lambda verdicts: [verdict(score="0.5") for _ in verdicts],
    "score is true": lambda verdicts: [verdict(score=True) for _ in verdicts],
    "score is huge": lambda verdicts: [verdict(score=10**400) for _ in verdicts],
    "score is a tensor": lambda verdicts: [verdict(score=torch.tensor(0.5)) for _ in verdicts],
    "reason is none": lambda verdicts: [verdict(reason=None) for _ in verdicts],
    "reason is a surrogate": lambda verdicts: [verdict(reason="\ud800") for _ in verdicts],
    "details is none": lambda verdicts: [verdict(details=None) for _ in verdicts],
    "details is a list": lambda verdicts: [verdict(details=[1]) for _ in verdicts],
    "details have nan": lambda verdicts: [verdict(details={"area": math.nan}) for _ in verdicts],
    "details have a tensor": lambda verdicts: [
        verdict(details={"area": torch.ones(1)}) for _ in verdicts
    ],
    "details have a surrogate": lambda verdicts: [
        verdict(details={"seen": "\ud800"}) for _ in verdicts
    ],
    "details never end": lambda verdicts: [verdict(details=loop) for _ in verdicts],
    "details are deep": lambda verdicts: [verdict(details={"deep": deep}) for _ in verdicts],
}


class WrongVerdicts(WorldJudge):
    def __init__(self, wrong: Callable[[list[Verdict]], Any], *, always: bool = False) -> None:
        super().__init__()
        self._wrong, self._always = wrong, always

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        verdicts = super().judge(images, metadata)
        if self._always or any(about["limit"] == 1.0 for about in metadata):
            return self._wrong(verdicts)  # type: ignore[no-any-return]
        return verdicts


class MarkedSuite(WorldSuite):
    """Its judge is told which prompt it is to fail for."""

    def __init__(self, judge: WorldJudge) -> None:
        super().__init__(per_tag=2, samples=1)
        self.one_judge = judge

    def prompts(self) -> tuple[Any, ...]:
        return tuple(
            dataclasses.replace(
                prompt, metadata={"tag": prompt.tag, "limit": 1.0 if prompt.text == BAD else 127.5}
            )
            for prompt in super().prompts()
        )


@pytest.mark.parametrize("wrong", VERDICTS.values(), ids=VERDICTS)
def test_a_judge_fails_its_own_samples(
    tmp_path: Path, wrong: Callable[[list[Verdict]], Any]
) -> None:
    suite = MarkedSuite(WrongVerdicts(wrong))
    summary = run(tmp_path, [Base(), Climb()], suite=suite)
    assert (summary.expected, summary.done, summary.failed) == (8, 6, 2)
    assert {record.prompt for record in failed(tmp_path)} == {BAD}
    for record in read_run(tmp_path).records:
        if record.status == "done":
            assert record.image is not None
            image = Image.open(tmp_path / record.image.path)
            assert record.verdict == WorldJudge.verdict(image, {"tag": record.tag, "limit": 127.5})
    assert run(tmp_path, [Base(), Climb()], suite=MarkedSuite(WorldJudge())).failed == 0


@pytest.mark.parametrize(
    "wrong", [name for name in VERDICTS if name not in {"raises", "asks to exit", "out of memory"}]
)
def test_the_message_names_the_judge(tmp_path: Path, wrong: str) -> None:
    summary = run(
        tmp_path, [Base()], suite=MarkedSuite(WrongVerdicts(VERDICTS[wrong], always=True))
    )
    if wrong == "score is made as nan":
        assert messages(tmp_path) == {"the score nan is not finite"}
    elif wrong == "too few":
        assert messages(tmp_path) == {
            "the judge world-judge gave 0 verdicts for 1 items; one for each in order is expected"
        }
    elif wrong == "neither correct nor score":
        assert messages(tmp_path) == {"a verdict says right or wrong, or gives a score"}
    else:
        assert all(
            message.startswith("the judge world-judge gave ") for message in messages(tmp_path)
        )
    assert (summary.done, summary.failed) == (0, 4)


def test_a_judge_that_drops_the_first_verdict_shifts_none(tmp_path: Path) -> None:
    """The fault: F T F T F was recorded as T F T F F."""
    run(
        tmp_path / "odd",
        suite=MarkedSuite(WrongVerdicts(lambda verdicts: verdicts[1:] or verdicts, always=True)),
    )
    run(tmp_path / "well", suite=MarkedSuite(WorldJudge()))
    odd, well = (
        {record.id: record.verdict for record in read_run(tmp_path / name).records}
        for name in ("odd", "well")
    )
    assert odd == well
    assert len({verdict.correct for verdict in well.values() if verdict}) == 2


def test_details_become_json_types(tmp_path: Path) -> None:
    judge = WrongVerdicts(
        lambda verdicts: [verdict(details={"size": (8, 8)}) for _ in verdicts], always=True
    )
    assert run(tmp_path, [Base()], suite=MarkedSuite(judge)).done == 4
    assert {
        str(record.verdict and record.verdict.details) for record in read_run(tmp_path).records
    } == {"{'size': [8, 8]}"}


def test_a_check_of_the_judge_that_raises_is_told(tmp_path: Path) -> None:
    class Broken(WorldJudge):
        def verify(self) -> None:
            raise ZeroDivisionError("by zero")

    with pytest.raises(
        PluginError, match="the judge world-judge failed its own check: ZeroDivisionError: by zero"
    ):
        run(tmp_path, [Base()], suite=MarkedSuite(Broken()))


# --- methods


OUTCOMES: dict[str, Callable[[Outcome], Any]] = {
    "no outcome": lambda _: None,
    "a tuple": lambda one: (one.task, one.label, one.image, one.noise),
    "task is none": lambda one: replaced(one, task=None),
    "task is a list": lambda one: replaced(one, task=[]),
    "task of another run": lambda one: replaced(one, task=Task("other", "other", 0)),
    "label of another": lambda one: replaced(one, label="other"),
    "label is none": lambda one: replaced(one, label=None),
    "image is none": lambda one: replaced(one, image=None),
    "image of numpy": lambda one: replaced(one, image=one.image.numpy()),
    "image of 1 channel": lambda one: replaced(one, image=one.image[:1]),
    "image of 4 channels": lambda one: replaced(one, image=torch.cat([one.image, one.image[:1]])),
    "image of 2 dimensions": lambda one: replaced(one, image=one.image[0]),
    "image of 4 dimensions": lambda one: replaced(one, image=one.image[None]),
    "image with channels last": lambda one: replaced(one, image=one.image.permute(1, 2, 0)),
    "image is empty": lambda one: replaced(one, image=one.image[:, :0]),
    "image of another size": lambda one: replaced(one, image=one.image.repeat(1, 2, 2)),
    "image in 0..255": lambda one: replaced(one, image=one.image * 255),
    "image in -1..1": lambda one: replaced(one, image=one.image * 2 - 1.2),
    "image of bytes": lambda one: replaced(one, image=(one.image * 255).to(torch.uint8)),
    "image is complex": lambda one: replaced(one, image=one.image.to(torch.complex64)),
    "image on meta": lambda one: replaced(one, image=one.image.to("meta")),
    "image is sparse": lambda one: replaced(one, image=one.image.to_sparse()),
    "image is infinite": lambda one: replaced(one, image=one.image / 0),
    "noise is none": lambda one: replaced(one, noise=None),
    "noise of another shape": lambda one: replaced(one, noise=one.noise[:1]),
    "noise with a batch": lambda one: replaced(one, noise=one.noise[None]),
    "noise is a number": lambda one: replaced(one, noise=torch.tensor(0.5)),
    "noise of half": lambda one: replaced(one, noise=one.noise.half()),
    "noise on meta": lambda one: replaced(one, noise=one.noise.to("meta")),
    "noise is infinite": lambda one: replaced(one, noise=one.noise / 0),
    "noise of an infinite norm": lambda one: replaced(one, noise=one.noise.double() * 1e200),
    "share is nan": lambda one: replaced(one, share=math.nan),
    "share is negative": lambda one: replaced(one, share=-3.0),
    "share above 1": lambda one: replaced(one, share=50),
    "share is text": lambda one: replaced(one, share="1"),
    "share is none": lambda one: replaced(one, share=None),
    "share is true": lambda one: replaced(one, share=True),
    "trajectory of texts": lambda one: replaced(one, trajectory=("0.1", "0.2")),
    "trajectory is text": lambda one: replaced(one, trajectory="0.1"),
    "trajectory is a number": lambda one: replaced(one, trajectory=0.1),
    "trajectory of nones": lambda one: replaced(one, trajectory=(None,)),
}


class Odd(Climb):
    """Spoils the outcomes of one prompt."""

    def __init__(self, wrong: Callable[[Outcome], Any]) -> None:
        super().__init__()
        self._wrong = wrong

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        for outcome in super().propose(tasks, generator, reward, noises):
            yield self._wrong(outcome) if outcome.task.prompt == BAD else outcome


@pytest.mark.parametrize("wrong", OUTCOMES.values(), ids=OUTCOMES)
def test_a_method_fails_its_own_samples(tmp_path: Path, wrong: Callable[[Outcome], Any]) -> None:
    summary = small(tmp_path, [Base(), Odd(wrong)])
    assert (summary.expected, summary.done, summary.failed) == (8, 7, 1)
    assert {(record.prompt, record.label) for record in failed(tmp_path)} == {(BAD, "climb")}
    assert all(message.startswith("the method climb gave ") for message in messages(tmp_path))


WHOLE: dict[str, Callable[[list[Outcome]], Any]] = {
    "none": lambda _: None,
    "nothing": lambda _: [],
    "twice": lambda outcomes: [*outcomes, *outcomes],
    "one too few": lambda outcomes: outcomes[1:],
    "one instead of another": lambda outcomes: [outcomes[0] for _ in outcomes],
}


class Whole(Base):
    def __init__(self, wrong: Callable[[list[Outcome]], Any]) -> None:
        super().__init__()
        self._wrong = wrong

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        return self._wrong(list(super().propose(tasks, generator, reward, noises)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("wrong", WHOLE.values(), ids=WHOLE)
def test_outcomes_that_are_not_the_batchs_are_no_results(
    tmp_path: Path, wrong: Callable[[list[Outcome]], Any]
) -> None:
    small(tmp_path / "odd", [Whole(wrong)])
    small(tmp_path / "well", [Base()], batch_size=1)
    well = {record.id: record for record in read_run(tmp_path / "well").records}
    for record in read_run(tmp_path / "odd").records:
        # What a method gives for a task alone is that task's.
        assert record.status == "failed" or timeless(record) == timeless(well[record.id])


def test_swapped_tasks_are_found_by_their_noises(tmp_path: Path) -> None:
    def swap(outcomes: list[Outcome]) -> list[Outcome]:
        tasks = [outcome.task for outcome in outcomes]
        return [
            replaced(one, task=task)
            for one, task in zip(outcomes, tasks[1:] + tasks[:1], strict=True)
        ]

    summary = small(tmp_path, [Whole(swap)])
    assert (summary.done, summary.failed) == (0, 4)
    message = (
        "the method random gave one task the noise of another of its batch; "
        "each task has to keep its own"
    )
    assert messages(tmp_path) == {message}


def test_what_is_allowed_is_taken(tmp_path: Path) -> None:
    def unusual(one: Outcome) -> Outcome:
        image = (one.image.detach() + 1e-3).requires_grad_()
        return replaced(
            one,
            image=image.double(),
            noise=one.noise.double().requires_grad_(),
            share=np.float32(0.5),
            trajectory=[1, 1e308 * 1.79],
        )

    class Unusual(Base):
        def propose(
            self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
        ) -> Iterator[Outcome]:
            return map(unusual, super().propose(tasks, generator, reward, noises))

    summary = small(tmp_path, [Unusual()])
    assert (summary.done, summary.failed) == (4, 0)
    assert {record.cost.generator_forward for record in read_run(tmp_path).records} == {0.5}


# --- generators


@pytest.mark.parametrize(
    "wrong",
    [
        lambda images: images[:, :1],
        lambda images: images[0],
        lambda _: None,
        lambda images: images[1:],
    ],
)
def test_a_generator_that_gives_no_images_is_named(
    tmp_path: Path, wrong: Callable[[Tensor], Any]
) -> None:
    class Wrong(ToyGenerator):
        def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
            return wrong(super().generate(noise, conditioning, steps))  # type: ignore[no-any-return]

    summary: Tally = small(tmp_path, [Base()], generator=Wrong())
    assert (summary.done, summary.failed) == (0, 4)
    assert summary.commonest.startswith("4 times the generator toy gave ")
