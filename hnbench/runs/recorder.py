"""Saves, scores and judges the images that methods chose.

Rewards and verdicts are those of the saved 8-bit image, not of the tensor that a method had. A
reward with published preprocessing is scored with it. While the rewards are computed on this
thread, another one judges, compresses and saves the same images. Nothing of it keeps the device
busy while a method is timed. If a reward or a judge raises for a sample, or gives a wrong answer,
only this sample fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hnbench.runs.attempt import attempted
from hnbench.runs.pixels import to_picture, to_png
from hnbench.runs.record import Failure, SavedImage
from hnbench.runs.scorer import Scorer
from hnbench.runs.verdicts import named, verdicts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor, Future

    import torch
    from PIL import Image
    from torch import Tensor

    from hnbench.rewards.base import Mixture, Reward
    from hnbench.runs.store import RunStore
    from hnbench.suites.base import Judge, Verdict
    from hnbench.tasks import Task


@dataclass(frozen=True)
class Chosen:
    """An image that a method chose, and the id of the record it will be saved under. `pixels` are
    uint8 `[3, H, W]` on the CPU.
    """

    id: str
    task: Task
    pixels: Tensor
    owed: bool = True
    """Whether the record is still to be written. The other images are measured too, because numbers
    of a batch can depend on all of its images.
    """


@dataclass(frozen=True)
class Measurement:
    """One saved image with its rewards and its verdict."""

    image: SavedImage
    rewards: dict[str, float]
    verdict: Verdict | None


@dataclass(frozen=True)
class _Picture:
    """One distinct image: `pixels` are uint8 `[3, H, W]` on the CPU, and `ids` are the records that
    are still to be written and have this image.
    """

    task: Task
    pixels: Tensor
    ids: list[str]

    def to_image(self) -> Image.Image:
        return to_picture(self.pixels)


@dataclass(frozen=True)
class Measuring:
    """Images that are being saved, and that have their rewards; perhaps also being judged."""

    pictures: Sequence[_Picture]
    scores: Sequence[dict[str, float] | Failure]
    verdicts: Future[Sequence[Verdict | Failure | None]]
    saved: Future[dict[str, SavedImage]]

    def result(self) -> dict[str, Measurement | Failure]:
        """Wait until all is done. Returns id -> measurement for the records that are still to be
        written, with a `Failure` for each image that cannot be measured.
        """
        verdicts, saved = self.verdicts.result(), self.saved.result()
        results: dict[str, Measurement | Failure] = {}
        for picture, rewards, verdict in zip(self.pictures, self.scores, verdicts, strict=True):
            failures = (result for result in (rewards, verdict) if isinstance(result, Failure))
            failure = next(failures, None)
            for record_id in picture.ids:
                results[record_id] = failure or Measurement(saved[record_id], rewards, verdict)  # type: ignore[arg-type]
        return results


class Recorder:
    """Saves, scores and judges images: rewards on the calling thread, the judge and the disk on the
    thread of `worker`.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        rewards: Mixture,
        held_out: Sequence[Reward],
        judge: Judge | None,
        metadata: Mapping[str, Mapping[str, Any]],
        device: torch.device,
        worker: Executor,
    ) -> None:
        """`metadata` is by prompt id, and only the judge sees it. `judge` is None if the suite has
        none. `device` is where the rewards are.
        """
        self._store, self._judge, self._metadata, self._worker = store, judge, metadata, worker
        self._scorer = Scorer(rewards, held_out, device)

    def begin(self, chosen: Sequence[Chosen], batch_size: int) -> Measuring:
        """Begin to measure every image, `batch_size` at a time. When this returns, the device has
        nothing left to do: the rewards are there, and a judge that uses the device is done.
        """
        pictures = _distinct(chosen)
        verdicts = self._worker.submit(self._verdicts, pictures, batch_size)
        saved = self._worker.submit(self._save, pictures)
        shown = [(picture.to_image(), picture.task.prompt) for picture in pictures]
        scores = self._scorer.score(shown, batch_size)
        if self._judge is not None and self._judge.uses_device:
            verdicts.result()
        return Measuring(pictures, scores, verdicts, saved)

    def _save(self, pictures: Sequence[_Picture]) -> dict[str, SavedImage]:
        saved = {}
        for picture in pictures:
            if picture.ids:
                png = to_png(picture.to_image())
                saved.update(
                    {record_id: self._store.save_image(record_id, png) for record_id in picture.ids}
                )
        return saved

    def _verdicts(
        self, pictures: Sequence[_Picture], batch_size: int
    ) -> Sequence[Verdict | Failure | None]:
        judge = self._judge
        if judge is None:
            return [None] * len(pictures)
        images = [picture.to_image() for picture in pictures]
        metadata = [self._metadata[picture.task.prompt_id] for picture in pictures]

        def verdicts(pairs: Sequence[tuple[Image.Image, Mapping[str, Any]]]) -> list[Verdict]:
            return verdicts_of(judge, [image for image, _ in pairs], [about for _, about in pairs])

        return attempted(
            verdicts, list(zip(images, metadata, strict=True)), batch_size, named(judge)
        )


def _distinct(chosen: Sequence[Chosen]) -> list[_Picture]:
    """Each distinct image of a prompt once, because labels often have the same one: best-of-4 often
    chooses the candidate that best-of-2 chose.
    """
    pictures: dict[tuple[str, bytes], _Picture] = {}
    for item in chosen:
        key = (item.task.prompt_id, item.pixels.numpy().tobytes())
        picture = pictures.setdefault(key, _Picture(item.task, item.pixels, []))
        if item.owed:
            picture.ids.append(item.id)
    return list(pictures.values())
