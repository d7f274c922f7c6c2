"""Judges the images of an inventory in batches. Each batch is on the disk before the next one
begins, and no image is judged twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.names import plain_name
from hnbench.images.failed import refuse_failed
from hnbench.images.inventory import decode_png
from hnbench.images.verdict_journal import PREFIX, VerdictJournal, key_of
from hnbench.runs.attempt import attempted
from hnbench.runs.shards import WHOLE
from hnbench.runs.verdicts import named, verdicts_of, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.images.inventory import FoundImage, Inventory, StageProgress
    from hnbench.runs.shards import Shard
    from hnbench.suites.base import Judge, Suite, Verdict


@dataclass(frozen=True)
class Scores:
    """An inventory's verdicts: one for each of its images, in order."""

    inventory: Inventory
    """The images that have a verdict."""
    judge: str
    fingerprint: str
    verdicts: tuple[Verdict, ...]
    new: int
    """The number of images judged now; the others were judged before."""
    missing: int = 0
    """The number of images that have no verdict yet, because other shards judge them."""


def judge_of(suite: Suite, device: str) -> Judge:
    """The suite's judge; a suite without one is a `UsageError`."""
    judge = suite.judge(device=device)
    if judge is None:
        raise UsageError(
            f"the suite {suite.name} has no judge, so nothing can be scored; see `hnbench list"
            " suites`"
        )
    return judge


def scores_folder(folder: Path, judge: Judge) -> Path:
    """The default folder for the scores of a folder's images."""
    return folder / plain_name(f"{PREFIX}{judge.name}")


def score(
    inventory: Inventory,
    judge: Judge,
    out: Path,
    *,
    batch_size: int,
    progress: StageProgress,
    shard: Shard = WHOLE,
) -> Scores:
    """Judge the shard's images that have no verdict yet in the folder `out`. The inventory must
    have been checked (`Inventory.usable`), so that its images' SHA-256 are known.

    If there is anything to judge, the judge is checked first (`Judge.verify`, a `UsageError`). If
    the judge fails for an image, that is a `SampleFailure` at the end, when all other images have
    their verdicts.
    """
    fingerprint = judge.fingerprint
    keys = [key_of(image, fingerprint) for image in inventory.images]
    with VerdictJournal(out, shard) as journal:
        # By key: equal images of one prompt are judged once.
        pending = {
            key: image
            for number, (key, image) in enumerate(zip(keys, inventory.images, strict=True))
            if key not in journal.verdicts and shard.has(number)
        }
        if pending:
            verify(judge)
        progress.label("judging", len(pending))

        def judge_batch(batch: Sequence[tuple[str, FoundImage]]) -> list[Verdict]:
            pictures = [decode_png(image.read()) for _, image in batch]
            verdicts = verdicts_of(judge, pictures, [image.prompt.metadata for _, image in batch])
            journal.add(
                (key, image, verdict) for (key, image), verdict in zip(batch, verdicts, strict=True)
            )
            progress.advance(len(batch))
            return verdicts

        results = attempted(
            judge_batch, list(pending.items()), batch_size, named(judge), record_memory=False
        )
        refuse_failed(named(judge), [image.name for image in pending.values()], results, "images")
        if not shard.whole:
            journal.refresh()
        judged = [
            (image, journal.verdicts[key])
            for key, image in zip(keys, inventory.images, strict=True)
            if key in journal.verdicts
        ]
    return Scores(
        replace(inventory, images=tuple(image for image, _ in judged)),
        judge.name,
        fingerprint,
        tuple(verdict for _, verdict in judged),
        len(pending),
        len(keys) - len(judged),
    )
