"""Experiment trackers that receive a training's log: TensorBoard, Weights & Biases and trackio,
through accelerate.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hnbench.api.arguments import several
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hnbench.api.arguments import Several
    from hnbench.hypernetwork.config import TrainingConfig
    from hnbench.hypernetwork.evaluation import Sample
    from hnbench.hypernetwork.trainer import ShowSamples, TrainingProgress

TRACKERS = ("tensorboard", "wandb", "trackio")
"""The trackers by name, which is also that of their package."""
PROJECT = "hnbench"
LONGEST = 60
"""The number of characters of a prompt in the name of its images."""


def trackers_of(given: Several) -> tuple[str, ...]:
    """The names of trackers, each once. An unknown name, and one whose package is not installed,
    are `UsageError`s.
    """
    names = tuple(dict.fromkeys(several(given)))
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"`log` was {name!r}; choose of {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise UsageError(f"`log` {name} needs the package {name}; type pip install {name}")
    return names


class TrackerProgress:
    """Passes a training's progress on, and gives every line of its log to trackers."""

    def __init__(
        self,
        shown: TrainingProgress,
        config: TrainingConfig,
        make: Callable[[int], Sequence[Any]],
    ) -> None:
        """`make` starts the trackers (`accelerate.tracking.GeneralTracker`) of a training that
        begins after this step.
        """
        self._shown, self._config, self._make = shown, config, make
        self._trackers: Sequence[Any] = ()

    def started(self, step: int, total: int) -> None:
        """Start the trackers, and give the configuration to those of a new training."""
        self._trackers = self._make(step)
        if not step:
            for tracker in self._trackers:
                tracker.store_init_configuration(_settings(self._config))
        self._shown.started(step, total)

    def stepped(self, record: Mapping[str, Any]) -> None:
        """Log the numbers of a step, and of its evaluation."""
        values = numbers_of(record)
        for tracker in self._trackers:
            tracker.log(values, step=record["step"])
        self._shown.stepped(record)

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        """Log a picture for each prompt: the base's image on the left, the trained one on the
        right.
        """
        pictures = {
            f"samples/{number} {sample.prompt[:LONGEST].replace('/', ' ')}": _side_by_side(sample)
            for number, sample in enumerate(samples, start=1)
        }
        for tracker in self._trackers:
            _log_pictures(tracker, pictures, step)

    def finish(self) -> None:
        """End the trackers' runs."""
        for tracker in self._trackers:
            tracker.finish()


def _side_by_side(sample: Sample) -> Any:
    """A picture `[H, W, 3]` of 8-bit values, a NumPy array."""
    import torch

    from hnbench.runs.pixels import quantise

    both = [image for image in (sample.base, sample.trained) if image is not None]
    return quantise(torch.cat(both, dim=2)).permute(1, 2, 0).contiguous().numpy()


def _log_pictures(tracker: Any, pictures: Mapping[str, Any], step: int) -> None:
    if tracker.name == "trackio":  # accelerate logs no images to it
        import trackio

        tracker.log({name: trackio.Image(one) for name, one in pictures.items()}, step=step)
        return
    several = {name: one[None] for name, one in pictures.items()}
    # The two others differ in the order of an image's dimensions.
    order = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
    tracker.log_images(several, step=step, **order)


def numbers_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a line of a training's log, as `train/NAME` and `evaluation/NAME`."""
    found = {f"train/{name}": value for name, value in record.items()}
    found |= {
        f"evaluation/{name}": value for name, value in (record.get("evaluation") or {}).items()
    }
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, (int, float)) and name != "train/step"
    }


@contextmanager
def tracked(
    names: Sequence[str],
    config: TrainingConfig,
    folder: Path,
    shown: TrainingProgress,
    *,
    main: bool,
) -> Iterator[tuple[TrainingProgress, ShowSamples | None]]:
    """The progress to train with in the block, and the receiver of images. Only the `main` process
    has trackers; without any, nothing receives images.
    """
    if not names or not main:
        yield shown, None
        return
    progress = TrackerProgress(
        shown, config, lambda step: [_started(name, config, folder, step) for name in names]
    )
    try:
        yield progress, progress.show
    finally:
        progress.finish()


def _started(name: str, config: TrainingConfig, folder: Path, step: int) -> Any:
    """A tracker whose run is that of the training's folder. A training that continues goes on in
    the same run.
    """
    from accelerate import PartialState, tracking

    # The trackers' own log needs it. The processes have joined before, so nothing is joined here.
    PartialState()
    run = folder.resolve().name
    if name == "tensorboard":
        # TensorBoard drops what an interrupted training logged after its last saved state.
        tracker = tracking.TensorBoardTracker(
            name, folder, purge_step=step + 1 if step else 0, flush_secs=30
        )
    elif name == "wandb":
        own = f"{run}-{config.identity[:8]}"
        tracker = tracking.WandBTracker(PROJECT, name=run, id=own, resume="allow", dir=str(folder))
    else:
        tracker = tracking.TrackioTracker(PROJECT, name=run, resume="allow")
    tracker.start()
    return tracker


def _settings(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as plain values by name."""
    values = config.as_dict()
    rewards = {f"rewards/{name}": weight for name, weight in values.pop("rewards").items()}
    return {
        name: "none" if value is None else value for name, value in {**values, **rewards}.items()
    }
