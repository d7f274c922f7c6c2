"""`hnbench.score`: a judge's verdicts on images that lie in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.api.arguments import Several, device_of, several
from hnbench.api.batch_sizes import BatchSize, parse_batch_size
from hnbench.catalogue import specifications
from hnbench.display.screen import Screen
from hnbench.runs.shards import Shard, place_of_process

if TYPE_CHECKING:
    import pandas as pd

    from hnbench.images.judging import Scores
    from hnbench.runs.store import Run


@dataclass(frozen=True)
class Scored:
    """Verdicts on a folder's images."""

    folder: Path
    """The folder with verdicts and scores: `results.jsonl` and `scores.json`."""
    scores: Scores
    """The images that have a verdict, with the verdicts; `scores.missing` says how many have none
    yet, because other shards judge them. The files are written when none is missing.
    """
    shard: Shard
    """The part of the images that this call judged."""

    def frame(self) -> pd.DataFrame:
        """One row per image: file, label, prompt, tag, sample, `correct`, `score`, `reason`."""
        import pandas as pd

        pairs = zip(self.scores.inventory.images, self.scores.verdicts, strict=True)
        return pd.DataFrame(
            {
                "filename": image.name,
                "label": image.label,
                "prompt_id": image.prompt.id,
                "prompt": image.prompt.text,
                "tag": image.prompt.tag,
                "sample": image.sample,
                "correct": verdict.correct,
                "score": verdict.value,
                "reason": verdict.reason,
            }
            for image, verdict in pairs
        )


def score(
    folder: Run | str | Path,
    *,
    suite: str,
    quick: bool = False,
    partial: bool = False,
    label: Several = None,
    batch_size: BatchSize = "auto",
    device: str = "auto",
    out: str | Path | None = None,
    shard: str | None = None,
    progress: bool = True,
) -> Scored:
    """Judge images that lie in a folder, wherever they come from, or those of a run.

    The same call again judges only what has no verdict yet. `hnbench score --help` describes the
    parameters and docs/score.md the layouts that are read. `shard` is a part of the images, such as
    `"2/3"`, for several processes on one folder (see docs/scale.md).

    Raises `UsageError` for a folder that does not match the suite (unless `partial`), before any
    image is judged; `SampleFailure` if the judge fails for some images, with the verdicts on all
    others kept.
    """
    specifications.find_suite(suite)
    size = parse_batch_size(batch_size)
    with Screen(shown=progress) as screen:
        place = place_of_process(shard, os.environ)
        for note in place.notes:
            screen.note(note)
        chosen_device = device_of(device, screen, place.local_rank)

        # Heavy imports come only after wrong arguments have been refused.
        from hnbench.images.batch_sizes import fitting_judge
        from hnbench.images.finding import find_images
        from hnbench.images.judging import judge_of, scores_folder
        from hnbench.images.judging import score as judge_images
        from hnbench.images.result_files import write_results

        chosen = specifications.make_suite(suite)
        found = find_images(folder, chosen, quick=quick, labels=several(label))
        with screen.stages() as display:
            found = found.usable(display, partial=partial)
            screen.announce(f"loading the judge of {suite}")
            judge = judge_of(chosen, chosen_device)
            target = scores_folder(found.folder, judge) if out is None else Path(out)
            if size == "auto":
                size = fitting_judge(judge, found.images[0], chosen_device)
            scores = judge_images(
                found, judge, target, batch_size=size, progress=display, shard=place.shard
            )
        if not scores.missing:
            write_results(scores, target)
        return Scored(target, scores, place.shard)
