"""From chosen images to what is reported of them: the saved file, its rewards and its verdict.

Rewards and verdict are those of the saved 8-bit image, not of the tensor that a method held; a
reward with published preprocessing is scored with it. While the rewards are computed
here, another thread compresses, saves and judges the same images; neither runs while a method is
being timed. A reward or a judge that raises, or answers what it may not, is the failure of the
samples that it fails for alone.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from hnbench.guards.answers import as_scores
from hnbench.runs.attempt import attempted
from hnbench.runs.plan import OPTIMISED
from hnbench.runs.record import DIGITS, Failure, SavedImage, to_digits
from hnbench.runs.verdicts import named, verdicts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from torch import Tensor

    from hnbench.rewards.base import Mixture, Reward
    from hnbench.runs.store import RunStore
    from hnbench.suites.base import Judge, Verdict
    from hnbench.tasks import Task


@dataclass(frozen=True)
class Chosen:
    """An image `[3, H, W]` in [0, 1] that a method chose, and the id of the record it will be saved
    under.
    """

    id: str
    task: Task
    image: Tensor
    owed: bool = True
    """Whether the record is still to be written. The others are measured along, because a batch's
    numbers depend on all of it.
    """


@dataclass(frozen=True)
class Measurement:
    """What is known of one saved image."""

    image: SavedImage
    rewards: dict[str, float]
    verdict: Verdict | None


@dataclass(frozen=True)
class _Picture:
    """One distinct image: `pixels` `[3, H, W]` as bytes 0 to 255, on the CPU, and the owed records
    that it stands for.
    """

    task: Task
    pixels: Tensor
    ids: list[str]

    def to_image(self) -> Image.Image:
        return Image.fromarray(self.pixels.permute(1, 2, 0).contiguous().numpy())


class Recorder:
    """Saves, scores and judges images. The rewards are asked on this thread, the judge and the disk
    on `worker`'s.
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
        """Take what images are measured with; `metadata` is by prompt id, and for the judge
        alone.
        """
        self._store, self._judge, self._metadata, self._device, self._worker = (
            store,
            judge,
            metadata,
            device,
            worker,
        )
        self._rewards = rewards
        self._scorers = {name: reward for name, (reward, _) in rewards.parts.items()} | {
            reward.name: reward for reward in held_out
        }

    def measure(
        self, chosen: Sequence[Chosen], batch_size: int
    ) -> dict[str, Measurement | Failure]:
        """Measure every image, and give what is owed by record id. What fails for an image alone is
        a `Failure` of its own.
        """
        pictures = _distinct(chosen)
        kept = self._worker.submit(self._save_and_judge, pictures, batch_size)
        scores = self._score(pictures, batch_size)
        saved, verdicts = kept.result()
        results: dict[str, Measurement | Failure] = {}
        for picture, rewards, verdict in zip(pictures, scores, verdicts, strict=True):
            failures = (result for result in (rewards, verdict) if isinstance(result, Failure))
            failure = next(failures, None)
            for record_id in picture.ids:
                results[record_id] = failure or Measurement(saved[record_id], rewards, verdict)  # type: ignore[arg-type]
        return results

    def _score(
        self, pictures: Sequence[_Picture], batch_size: int
    ) -> list[dict[str, float] | Failure]:
        shown = [(picture.to_image(), picture.task.prompt) for picture in pictures]
        columns = {
            name: self._ask(name, reward, shown, batch_size)
            for name, reward in self._scorers.items()
        }
        return [
            self._row(dict(zip(columns, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ]

    def _ask(
        self, name: str, reward: Reward, shown: Sequence[tuple[Image.Image, str]], batch_size: int
    ) -> list[float | Failure]:
        who = f"the reward {name}"

        @torch.no_grad()
        def scores(chunk: Sequence[tuple[Image.Image, str]]) -> list[float]:
            given = reward.score_pictures(
                [image for image, _ in chunk], [prompt for _, prompt in chunk], self._device
            )
            found: list[float] = as_scores(who, given, len(chunk)).tolist()
            return found

        return attempted(scores, shown, batch_size, who)

    def _row(self, found: dict[str, float | Failure]) -> dict[str, float] | Failure:
        """One image's rewards and their weighted total."""
        row: dict[str, float] = {}
        for name, value in found.items():
            if isinstance(value, Failure):
                return value
            row[name] = value
        row[OPTIMISED] = sum(
            weight * row[name] for name, (_, weight) in self._rewards.parts.items()
        )
        wrong = [name for name, value in row.items() if not math.isfinite(value)]
        if wrong:
            return Failure(type="NotFinite", message=f"the reward {', '.join(wrong)} is not finite")
        return {name: to_digits(value, DIGITS) for name, value in row.items()}

    def _save_and_judge(
        self, pictures: Sequence[_Picture], batch_size: int
    ) -> tuple[dict[str, SavedImage], Sequence[Verdict | Failure | None]]:
        images = [picture.to_image() for picture in pictures]
        saved = {}
        for picture, image in zip(pictures, images, strict=True):
            if picture.ids:
                png = to_png(image)
                saved.update(
                    {record_id: self._store.save_image(record_id, png) for record_id in picture.ids}
                )
        judge = self._judge
        if judge is None:
            return saved, [None] * len(pictures)
        metadata = [self._metadata[picture.task.prompt_id] for picture in pictures]

        def verdicts(pairs: Sequence[tuple[Image.Image, Mapping[str, Any]]]) -> list[Verdict]:
            return verdicts_of(judge, [image for image, _ in pairs], [about for _, about in pairs])

        return saved, attempted(
            verdicts, list(zip(images, metadata, strict=True)), batch_size, named(judge)
        )


def quantise(image: Tensor) -> Tensor:
    """8-bit values of an image in [0, 1]: clamped, times 255, rounded half to even; uint8 on the
    CPU.
    """
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def to_png(image: Image.Image) -> bytes:
    """Compress an image without loss. Level 1: several times faster than the default, for files a
    tenth larger.
    """
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _distinct(chosen: Sequence[Chosen]) -> list[_Picture]:
    """Each image once: best-of-4 often chooses what best-of-2 chose, and its rewards and verdict
    are the same.
    """
    pictures: dict[tuple[str, bytes], _Picture] = {}
    for item in chosen:
        pixels = quantise(item.image)
        key = (item.task.prompt_id, pixels.numpy().tobytes())
        picture = pictures.setdefault(key, _Picture(item.task, pixels, []))
        if item.owed:
            picture.ids.append(item.id)
    return list(pictures.values())
