"""`hnbench score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hnbench as api
from hnbench.cli import completion
from hnbench.cli.json_output import AsJson, print_json
from hnbench.cli.options import (
    DeviceName,
    ImagesAtATime,
    Labels,
    PartialChoice,
    QuickChoice,
    ShardName,
)
from hnbench.cli.output import note, show_shard
from hnbench.cli.printing import show_scores

EXAMPLES = (
    "hnbench score images --suite geneval --device cuda",
    "hnbench score outputs --suite t2i-compbench:color",
    "hnbench score results/my-run --suite geneval-shapes --label hypernoise",
    "hnbench score images --suite geneval --shard 2/3",
)


def score(
    folder: Annotated[
        Path,
        typer.Argument(
            autocompletion=completion.runs,
            help=(
                "Images in GenEval's layout (00000/metadata.jsonl, 00000/samples) or"
                " T2I-CompBench's (samples), or a run."
            ),
        ),
    ],
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            autocompletion=completion.suites,
            metavar="NAME[:PART]",
            help="Prompts and judge; see `hnbench list suites`.",
        ),
    ],
    quick: QuickChoice = False,
    partial: PartialChoice = False,
    label: Labels = None,
    batch_size: ImagesAtATime = "auto",
    device: DeviceName = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The folder for verdicts and scores. [default: scores-JUDGE in FOLDER]"
        ),
    ] = None,
    shard: ShardName = None,
    as_json: AsJson = False,
) -> None:
    """Judge images that lie in a folder, wherever they come from.

    Missing, unknown and unreadable images are reported before any image is judged. The same
    command again judges only what has no verdict yet.
    """
    found = api.score(
        folder,
        suite=suite,
        quick=quick,
        partial=partial,
        label=label,
        batch_size=batch_size,
        device=device,
        out=out,
        shard=shard,
    )

    from hnbench.images.result_files import RESULT_LINES
    from hnbench.images.score_table import correct_lines, sentences, table_of, to_json

    scores = found.scores
    if as_json:
        judged = {} if scores.missing else to_json(scores)
        print_json({"folder": found.folder, "missing": scores.missing, **judged})
        return
    if scores.missing:
        show_shard(found.shard, f"{scores.missing} images have no verdict yet", found.folder)
        return
    if not scores.new:
        note(f"all {len(scores.verdicts)} images have their verdicts already in {found.folder}")
    lines = [*correct_lines(scores), *sentences(scores)]
    show_scores(table_of(scores), lines, f"Image by image: {found.folder / RESULT_LINES}")
