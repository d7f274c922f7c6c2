"""Without enough memory: batches are halved where they can be, and else one line says what
helps.
"""

from __future__ import annotations

import sys
import traceback
import weakref
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from hnbench.cli.app import app
from hnbench.guards.out_of_memory import (
    free_memory,
    hide_in_finalizers,
    is_out_of_memory,
    keep_reserve,
    require_memory,
)
from hnbench.hypernetwork.trainer import Trainer
from hnbench.runs.attempt import in_chunks

pytestmark = pytest.mark.usefixtures("few_plots")

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you"
        " tried to allocate 9 bytes."
    ),
    MemoryError(),
    SystemError("error return without exception set"),
]
OTHERS = [
    SystemError("unknown opcode"),
    RuntimeError("shapes differ"),
    ValueError("out of memory"),
    KeyboardInterrupt(),
]
TRAIN = [
    "train",
    "--prompts",
    "prompts.txt",
    "--steps",
    "3",
    "--batch-size",
    "1",
    "--rank",
    "1",
    "--device",
    "cpu",
    "--out",
    "trained",
]


def hnbench(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="hnbench")


@pytest.mark.parametrize("error", ERRORS)
def test_what_is_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS)
def test_what_is_not(error: BaseException) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", ERRORS)
def test_a_training_says_what_helps_and_continues(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a red circle\na ring\n")
    advance = Trainer._advance

    def fail(trainer: Trainer) -> object:
        if trainer.step == 1:
            trainer.folder.save(trainer._state(trainer._cost()))
            raise error
        return advance(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_advance", fail)
        result = hnbench(*TRAIN)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("hnbench:")]
    for word in (
        "out of memory",
        "--memory",
        "--batch-size",
        "--accumulation",
        "--image-size",
        "same command",
    ):
        assert word in line
    assert "Traceback" not in result.output
    assert list((tmp_path / "trained/state").iterdir())
    again = hnbench(*TRAIN, "--memory", "checkpoint-all")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "trained/adapter").is_dir()
    assert "training: 1/3" in again.stderr


@pytest.mark.parametrize(
    ("command", "word"), [("diagnose", "--batch-size"), ("report", "--device")]
)
def test_every_command_says_what_helps(
    command: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ERRORS[1]

    monkeypatch.setattr("hnbench.api.diagnose.preset_of", fail)
    monkeypatch.setattr("hnbench.api.report.newest_run", fail)
    result = hnbench(command)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert word in result.stderr


def test_another_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OTHERS[0]

    monkeypatch.setattr("hnbench.api.report.newest_run", fail)
    assert hnbench("report").exception is OTHERS[0]


@pytest.mark.parametrize("error", ERRORS)
def test_batches_are_halved_down_to_one(error: Exception) -> None:
    sizes = []

    def batch(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise error
        return items

    assert in_chunks(batch, list(range(6)), 6) == list(range(6))  # type: ignore[arg-type]
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1] or max(sizes[2:]) <= 2


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("command", ["train", "diagnose"])
def test_a_model_that_does_not_fit_is_one_line(
    error: Exception, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no batch is halved: from within the models, not before them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a red circle\na ring\n")
    module = {
        "train": "hnbench.hypernetwork.trainer.Trainer._backward",
        "diagnose": "hnbench.hypernetwork.diagnose.exact_divergence",
    }[command]
    monkeypatch.setattr("hnbench.hypernetwork.diagnose.EXACT_UP_TO", 10**6)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, fail)
    arguments = (
        TRAIN
        if command == "train"
        else ["diagnose", "--prompts", "prompts.txt", "--limit", "1", "--device", "cpu"]
    )
    result = hnbench(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("hnbench:")]
    assert line.startswith("hnbench: out of memory (")
    assert "--batch-size" in line
    assert "Traceback" not in result.output


@pytest.mark.parametrize("where", ["generate", "score", "judge"])
def test_a_run_without_memory_for_one_image_records_it_and_says_so(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = {
        "generate": "hnbench.generators.stable_diffusion.StableDiffusionGenerator.generate",
        "score": "hnbench.rewards.open_clip.OpenClipReward.score_pictures",
        "judge": "hnbench.suites.shapes.ShapesJudge.judge",
    }[where]

    def fail(*_: object, **__: object) -> None:
        raise ERRORS[0]

    monkeypatch.setattr(place, fail)
    arguments = [
        "--suite",
        "geneval-shapes",
        "--method",
        "random",
        "--limit",
        "2",
        "--device",
        "cpu",
        "--no-report",
        "--out",
        "run",
    ]
    result = hnbench("run", *arguments)
    assert result.exit_code == 3, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("hnbench:")]
    assert "samples failed: " in line
    assert "times OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB." in line
    assert "Traceback" not in result.output


def test_only_a_lack_of_memory_is_hidden_in_finalizers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: seen.append(error.exc_type))
    hide_in_finalizers()

    class Ending:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    for error in (MemoryError(), ValueError()):
        made = Ending(error)
        del made
    assert seen == [ValueError]


class Records(list[int]):
    """Something that a failed function keeps."""


def test_an_error_keeps_nothing_once_memory_is_freed() -> None:
    kept = []

    def read() -> None:
        records = Records([1])
        kept.append(weakref.ref(records))
        raise MemoryError

    def report() -> None:
        try:
            read()
        except MemoryError as error:
            raise RuntimeError("no report") from error

    with pytest.raises(RuntimeError) as caught:
        report()
    assert kept[0]() is not None, "Python freed it by itself, so the test shows nothing"
    free_memory(caught.value)
    assert kept[0]() is None
    assert "raise MemoryError" in "".join(traceback.format_exception(caught.value))


def test_the_reserve_is_set_aside_once_and_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr("hnbench.guards.out_of_memory._reserved", made)
    keep_reserve()
    first = made[0]
    keep_reserve()
    assert made == [first]
    free_memory(MemoryError())
    assert made == []


def test_memory_that_the_system_does_not_give_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require_memory()
    monkeypatch.setattr("hnbench.guards.out_of_memory._RESERVE", 1 << 60)
    with pytest.raises(MemoryError):
        require_memory()
