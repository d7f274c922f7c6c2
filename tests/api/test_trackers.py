"""Trackers get every number of a training's log once, also if it is interrupted and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import GeneralTracker

import hnbench
from hnbench.api import trackers
from hnbench.api.trackers import tracked, trackers_of
from hnbench.errors import UsageError
from hnbench.hypernetwork.trainer import Trainer
from tests.hypernetwork.test_trainer import Spectator, log_of
from tests.hypernetwork.tiny import PROMPTS, UNetGenerator, config, mixture


class Noted(GeneralTracker):  # type: ignore[misc]
    """Remembers what it was given."""

    name = "noted"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.settings, self.lines, self.finished = dict[str, Any](), list[tuple[int, Any]](), 0

    @property
    def tracker(self) -> None:
        return None

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        assert step is not None
        self.lines.append((step, values))

    def finish(self) -> None:
        self.finished += 1


def train(folder: Path, *names: str, stop_at: int | None = None, main: bool = True) -> None:
    """Six steps; with `stop_at`, killed after this step."""
    wanted = config(save_every=2)
    spectator = Spectator(stop_at)
    with tracked(names, wanted, folder, spectator, main=main) as progress:
        Trainer(wanted, UNetGenerator(), mixture(), PROMPTS, folder).train(progress)


def numbers(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Step and numbers of the log's lines."""
    found = []
    for line in log_of(folder):
        step, evaluation = line.pop("step"), line.pop("evaluation", {})
        named = {f"train/{name}": value for name, value in line.items()}
        named |= {f"evaluation/{name}": value for name, value in evaluation.items()}
        found.append((step, named))
    return found


def test_a_tracker_gets_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted()
    monkeypatch.setattr(trackers, "_started", lambda *_: noted)
    train(tmp_path, "noted")
    assert noted.lines == numbers(tmp_path)
    assert noted.settings["learning_rate"] == 0.5
    assert noted.settings["rewards/brightness"] == 1.0
    assert all(isinstance(value, (bool, int, float, str)) for value in noted.settings.values())
    assert noted.finished == 1


def test_a_tracker_ends_when_the_training_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = Noted()
    monkeypatch.setattr(trackers, "_started", lambda *_: noted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "noted", stop_at=3)
    assert noted.finished == 1


def test_other_processes_have_no_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_started", lambda *_: pytest.fail("a tracker was started"))
    train(tmp_path, "noted", main=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_each_step_of_a_continued_training_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "tensorboard", stop_at=3)
    (tmp_path / "state").rename(tmp_path / "later")
    states = sorted((tmp_path / "later").iterdir())
    assert [state.name for state in states] == ["step-00000002"]
    (tmp_path / "later").rename(tmp_path / "state")
    train(tmp_path, "tensorboard")
    events: Any = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    expected = numbers(tmp_path)
    for name in ("train/loss", "train/learning_rate", "evaluation/gain"):
        found = [(one.step, one.value) for one in events.Scalars(name)]
        wanted = [(step, line[name]) for step, line in expected if name in line]
        assert [step for step, _ in found] == [step for step, _ in wanted]
        assert [value for _, value in found] == pytest.approx([value for _, value in wanted])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    for call in (hnbench.train, hnbench.plan_training):
        with pytest.raises(UsageError, match=r"`log` wandb needs .*; type pip install wandb"):
            call(log="wandb")


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UsageError, match="`log` was 'excel'; choose of tensorboard,"):
        trackers_of(["excel"])
    assert trackers_of(None) == ()
