"""Trackers get every number of a training's log once, also if it is interrupted and continued."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.tracking import GeneralTracker
from numpy.typing import NDArray
from PIL import Image

import hnbench
from hnbench.api import trackers
from hnbench.api.trackers import tracked, trackers_of
from hnbench.errors import UsageError
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import training_cost
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
        self.pictures: list[tuple[int, dict[str, Any]]] = []

    @property
    def tracker(self) -> None:
        return None

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        assert step is not None
        self.lines.append((step, values))

    def log_images(self, values: dict[str, Any], step: int | None = None) -> None:
        assert step is not None
        self.pictures.append((step, values))

    def finish(self) -> None:
        self.finished += 1


def train(
    folder: Path,
    *names: str,
    stop_at: int | None = None,
    main: bool = True,
    prompts: Sequence[str] = PROMPTS,
) -> Trainer:
    """Six steps; with `stop_at`, killed after this step."""
    wanted = config(save_every=2)
    spectator = Spectator(stop_at)
    with tracked(names, wanted, folder, spectator, main=main) as (progress, show):
        trainer = Trainer(wanted, UNetGenerator(), mixture(), prompts, folder)
        trainer.train(progress, show)
    return trainer


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


def halves(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The base's image and the trained one, `[8, 8, 3]`, of a picture `[1, 8, 16, 3]`."""
    assert picture.dtype == np.uint8
    assert picture.shape == (1, 8, 16, 3)
    return picture[0, :, :8], picture[0, :, 8:]


def rendered(trainer: Trainer, prompt: str, *, changed: bool) -> NDArray[np.uint8]:
    """The image of the first noise of an evaluated prompt, `[8, 8, 3]`, rendered anew."""
    task = next(task for task in trainer.evaluation.tasks if task.prompt == prompt)
    noise = trainer.evaluation.noises.batch([task])
    generator = UNetGenerator()
    text = generator.encode([prompt])
    with torch.no_grad():
        if changed:
            adapter = attach(generator, trainer.folder.adapter, "hypernoise")
            noise = noise + Hypernetwork(generator, adapter).displacement(noise, text)
        (image,) = generator.generate(noise, text)
    values: NDArray[np.uint8] = np.rint(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return values


def furthest(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """The largest difference of two images' values."""
    return int(abs(one.astype(int) - other.astype(int)).max())


def test_each_evaluation_shows_the_base_beside_the_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = Noted()
    monkeypatch.setattr(trackers, "_started", lambda *_: noted)
    prompts = [f"{word}/{number}" for number in range(30) for word in PROMPTS]
    trainer = train(tmp_path, "noted", prompts=prompts)
    assert [step for step, _ in noted.pictures] == [0, 2, 4, 6]
    shown = trainer.evaluation.prompts[:4]
    assert len(trainer.evaluation.prompts) > 4
    for _, pictures in noted.pictures:
        assert list(pictures) == [
            f"samples/{number} {prompt.replace('/', ' ')}"
            for number, prompt in enumerate(shown, start=1)
        ]
    for prompt, *several in zip(shown, *(one.values() for _, one in noted.pictures), strict=True):
        bases, trained = zip(*map(halves, several), strict=True)
        base = rendered(trainer, prompt, changed=False)
        last = rendered(trainer, prompt, changed=True)
        assert all((one == bases[0]).all() for one in bases)
        assert (trained[0] == bases[0]).all()  # the untrained adapter changes nothing
        # Rendered alone instead of in a batch, a value may round to its neighbour.
        assert furthest(bases[0], base) <= 1
        assert furthest(trained[-1], last) <= 1
        assert furthest(last, base) > 10


def test_images_cost_no_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_started", lambda *_: Noted())
    with_images = training_cost(train(tmp_path / "one", "noted").folder.adapter)
    without = training_cost(train(tmp_path / "other").folder.adapter)
    assert {**with_images, "seconds": 0} == {**without, "seconds": 0}


def test_a_continued_training_shows_the_trained_image_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = Noted()
    monkeypatch.setattr(trackers, "_started", lambda *_: noted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "noted", stop_at=3)
    noted.pictures.clear()
    train(tmp_path, "noted")
    assert [step for step, _ in noted.pictures] == [4, 6]
    for _, pictures in noted.pictures:
        assert [picture.shape for picture in pictures.values()] == [(1, 8, 8, 3)]


def test_trackio_gets_its_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trackio(Noted):
        name = "trackio"

        def log_images(self, *_: Any, **__: Any) -> None:
            raise AssertionError("accelerate's tracker of trackio has no such method")

    noted = Trackio()
    monkeypatch.setattr(trackers, "_started", lambda *_: noted)
    monkeypatch.setitem(
        sys.modules, "trackio", SimpleNamespace(Image=lambda value: ("image", value))
    )
    train(tmp_path, "trackio")
    images = [(step, line) for step, line in noted.lines if "samples/1" in str(list(line))]
    assert [step for step, _ in images] == [0, 2, 4, 6]
    for _, line in images:
        ((kind, value),) = line.values()
        assert kind == "image"
        assert value.dtype == np.uint8
        assert value.shape == (8, 16, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_the_images(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = train(tmp_path, "tensorboard")
    events: Any = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    (name,) = events.Tags()["images"]
    images = events.Images(name)
    assert [one.step for one in images] == [0, 2, 4, 6]
    (prompt,) = trainer.evaluation.prompts
    picture = np.asarray(Image.open(io.BytesIO(images[-1].encoded_image_string)))
    base, trained = halves(picture[None])
    assert furthest(base, rendered(trainer, prompt, changed=False)) <= 1
    assert furthest(trained, rendered(trainer, prompt, changed=True)) <= 1


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
